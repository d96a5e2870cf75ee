"""What comes of many data sets: computed in this process, or by the workers of a cluster."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pytensor.compile.sharedvalue import SharedVariable

from bayou.cluster.tasks import run_tasks
from bayou.cluster.workers import start_workers
from bayou.many.collect import said
from bayou.many.results.outcome import Outcome, with_judgement
from bayou.models.pickling import carry_densities

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import pymc as pm

    from bayou.cluster.ray import Ray
    from bayou.containers.variables.dims import ContainerArrays
    from bayou.many.data_sets import Key

    type Pairs = Iterator[tuple[Key, ContainerArrays | Exception, str]]
    type Run = Callable[[pm.Model, Pairs], Generator[Outcome]]

# Data sets that a worker is sent at once, and the times that it is sent some at least.
TOGETHER = 8
TIMES = 4


def outcomes_of(
    run: Run,
    model: pm.Model,
    data_sets: Pairs,
    cluster: Ray | None,
    number: int | None,
    chained: Sequence[str] = (),
    together: int | None = None,
) -> Generator[Outcome]:
    """Yield what comes of each data set, in their order.

    Workers are sent the model once, and then the arrays of data sets.

    Parameters
    ----------
    run : callable
        A model, data sets -> what comes of each, a function of its data and key alone. It pickles.
    model : pymc.Model
    data_sets : iterator of (key, arrays or error, fingerprint)
    cluster : Ray or None
        Where it runs; None for here.
    number : int or None
        How many data sets there are, where that is known.
    chained : sequence of str
        Variables whose chains workers judge, so that this process has that much less to do.
    together : int, optional
        Data sets that a worker is sent at once; by default some, so that it is sent some again.
    """
    if cluster is None:
        with closing(run(model, data_sets)) as found:
            yield from found
        return
    carry_densities(model)
    fed = _fed(model)
    places = {variable: place for place, variable in enumerate(fed)}
    with start_workers(cluster, partial(_Held.begun, run, model, fed, chained)) as pool:
        share = TOGETHER if number is None else number // (TIMES * len(pool))
        together = together or min(max(1, share), TOGETHER)
        tasks = (_packed(places, *found) for found in data_sets)
        for result in run_tasks(pool, _run, tasks, group_size=together):
            if result.error is None:
                yield result.value
            else:
                key, _, data = result.task
                yield Outcome(key, data, error=said(result.error))


def _fed(model: pm.Model) -> list[SharedVariable]:
    """List what data sets have arrays for: containers, and lengths that are no container's."""
    lengths = (found for found in model.dim_lengths.values() if isinstance(found, SharedVariable))
    return list(dict.fromkeys([*model.root.data_vars, *lengths]))


def _packed(
    places: dict[SharedVariable, int], key: Key, arrays: ContainerArrays | Exception, data: str
) -> tuple[Key, dict[int, Any] | str, str]:
    """Return a data set as it is sent: arrays by the places of what they are for, or an error."""
    if isinstance(arrays, Exception):
        return key, said(arrays), data
    return key, {places[variable]: array for variable, array in arrays.items()}, data


@dataclass(frozen=True, eq=False)
class _Held:
    """What a worker holds: what it runs, and on which model."""

    run: Run
    model: pm.Model
    fed: Sequence[SharedVariable]
    chained: Sequence[str]

    @classmethod
    def begun(
        cls,
        run: Run,
        model: pm.Model,
        fed: Sequence[SharedVariable],
        chained: Sequence[str],
        index: int,
    ) -> _Held:
        """Return it once what all data sets have in common, such as compiling, is done."""
        list(run(model, iter(())))
        return cls(run, model, fed, chained)


def _run(held: _Held, tasks: list[tuple[Key, dict[int, Any] | str, str]]) -> list[Outcome]:
    """Return what comes of some data sets; a worker calls it."""
    data_sets: list[tuple[Key, ContainerArrays | Exception, str]] = [
        (key, {held.fed[place]: array for place, array in arrays.items()}, data)
        for key, arrays, data in tasks
        if not isinstance(arrays, str)
    ]
    outcomes = list(held.run(held.model, iter(data_sets)))
    outcomes += [
        Outcome(key, data, error=arrays) for key, arrays, data in tasks if isinstance(arrays, str)
    ]
    if held.chained:
        outcomes = with_judgement(outcomes, held.chained)
    found = {outcome.key: outcome for outcome in outcomes}
    return [found[key] for key, _, _ in tasks]
