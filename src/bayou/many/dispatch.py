"""Many data sets run in this process, or by the workers of a cluster."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytensor.compile.sharedvalue import SharedVariable

from bayou.cluster.task_queue import run_tasks
from bayou.cluster.workers import start_workers
from bayou.many.results.convergence import with_convergence
from bayou.many.results.outcome import Outcome
from bayou.models.pickling import carry_densities

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pymc as pm

    from bayou.cluster.ray import Ray
    from bayou.cluster.workers import Workers
    from bayou.many.data_sets.pending import Pending

    type StartPool = Callable[[Ray, Callable[[int], _WorkerState]], AbstractContextManager[Workers]]
    type Run = Callable[[pm.Model, Iterator[Pending]], Generator[Outcome]]

# A worker is sent up to so many data sets at once, so that a call takes much longer than sending
# it; but each is sent some at least as many times, so that all of them end at about the same time.
DATA_SETS_PER_CALL = 8
CALLS_PER_WORKER = 4


def dispatch(
    run: Run,
    model: pm.Model,
    pending: Iterator[Pending],
    cluster: Ray | None,
    number: int | None,
    *,
    judged: Sequence[str] = (),
    per_call: int | None = None,
    start_pool: StartPool | None = None,
) -> Generator[Outcome]:
    """Yield the outcome of each data set, in no order in this process, in theirs from a cluster.

    A worker is sent the model once, and then the arrays of data sets.

    Parameters
    ----------
    run : callable
        (model, data sets) -> their outcomes, each a function of the model and the data set only;
        outcomes among the data sets are passed on. It must pickle.
    model : pymc.Model
    pending : iterator of PendingDataSet or Outcome
    cluster : Ray or None
        The cluster; None for this process.
    number : int or None
        The number of data sets, None if it is not known.
    judged : sequence of str
        Variables whose convergence workers compute, so that this process need not.
    per_call : int, optional
        Data sets that a worker is sent at once; by default up to 8.
    start_pool : callable, optional
        (cluster, start of a worker) -> a context manager of workers; by default, of Ray.
    """
    if cluster is None:
        with closing(run(model, pending)) as outcomes:
            yield from outcomes
        return
    carry_densities(model)
    variables = _fed_variables(model)
    positions = {variable: position for position, variable in enumerate(variables)}
    start = partial(_start_worker, run, model, variables, judged)
    with (start_pool or start_workers)(cluster, start) as pool:
        share = DATA_SETS_PER_CALL if number is None else number // (CALLS_PER_WORKER * len(pool))
        per_call = per_call or min(max(1, share), DATA_SETS_PER_CALL)
        tasks = (_with_keys(data_set, positions) for data_set in pending)
        for result in run_tasks(pool, _run_tasks, tasks, group_size=per_call):
            if result.error is None:
                yield result.value
            elif isinstance(result.task, Outcome):
                yield result.task
            else:
                yield result.task.failed(result.error)


def _fed_variables(model: pm.Model) -> list[SharedVariable]:
    """Return the variables that data sets have arrays for, in an order that pickling preserves.

    These are the containers, and lengths of dims that are shared variables of their own.
    """
    lengths = [
        length for length in model.dim_lengths.values() if isinstance(length, SharedVariable)
    ]
    return list(dict.fromkeys([*model.root.data_vars, *lengths]))


def _with_keys(data_set: Pending, keys: Mapping[Any, Any]) -> Pending:
    """Return a data set with other keys of its arrays; an outcome as it is."""
    if isinstance(data_set, Outcome):
        return data_set
    arrays = {keys[key]: array for key, array in data_set.arrays.items()}
    return replace(data_set, arrays=arrays)


@dataclass(frozen=True, eq=False)
class _WorkerState:
    """The state of a worker between calls: the model, what runs on it, and its variables."""

    run: Run
    model: pm.Model
    variables: Sequence[SharedVariable]
    judged: Sequence[str]


def _start_worker(
    run: Run,
    model: pm.Model,
    variables: Sequence[SharedVariable],
    judged: Sequence[str],
    index: int,
) -> _WorkerState:
    # Without data sets, what all of them share is done, such as compiling.
    list(run(model, iter(())))
    return _WorkerState(run, model, variables, judged)


def _run_tasks(state: _WorkerState, tasks: list[Pending]) -> list[Outcome]:
    """Return the outcomes of some data sets in their order; called in a worker.

    Arrays are sent by the positions of their variables, since a worker has copies of these.
    """
    variables = dict(enumerate(state.variables))
    pending = (_with_keys(data_set, variables) for data_set in tasks)
    outcomes = with_convergence(list(state.run(state.model, pending)), state.judged)
    by_key = {outcome.key: outcome for outcome in outcomes}
    return [by_key[data_set.key] for data_set in tasks]
