"""The steps of a stochastic fit on the workers of a cluster, each on its share of every batch.

The fit itself stays in the process that called it, which requests chunks of steps from the state
after the last chunk. A worker that dies costs the chunk that was running.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.errors import JaxRuntimeError

from bayou.cluster.workers import start_workers
from bayou.containers.variables.source_variable import window_of
from bayou.errors import DivergenceError, WorkerDiedError
from bayou.feeding.feed import ItemFeed
from bayou.fitting.rows.feeds import leading_batch_size
from bayou.fitting.stochastic.fit_worker import FitWorker, WorkerTask
from bayou.fitting.stochastic.steps import chunk_steps
from bayou.models.inputs import storage_of
from bayou.models.pickling import carry_densities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.cluster.workers import Future, Workers
    from bayou.density.program import Program
    from bayou.feeding.feed import Feed
    from bayou.feeding.source_batches import AnyOrder
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.rows.step_inputs import StepInputs
    from bayou.fitting.rows.task import Task
    from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState

# Chunks that are requested ahead, so that workers need not wait for the next request.
REQUESTED_AHEAD = 2
# The fit fails after so many attempts in a row that end without a chunk.
MAX_FAILURES = 3


class DistributedRun:
    """A runner of steps on workers, called like :func:`bayou.fitting.stochastic.steps.run_steps`.

    Parameters
    ----------
    pool : Workers
        The workers, each with a :class:`bayou.fitting.stochastic.fit_worker.FitWorker`.
    task : WorkerTask
        The part of the fit that they have in common.
    """

    def __init__(self, pool: Workers, task: WorkerTask) -> None:
        self._pool = pool
        self._task = pool.put(task)
        self._have_joined = False

    def __call__(
        self,
        program: Program,
        recipe: Recipe,
        frame: Frame,
        inputs: StepInputs,
        state: StepState,
        rates: NDArray[np.float64],
        first: int = 0,
    ) -> Iterator[Chunk]:
        """Run steps, and yield the result of each chunk.

        Chunks are as long as without workers, so that decisions at their ends are the same.

        Raises
        ------
        DivergenceError
            If a loss is not finite.
        TypeError
            If the recipe cannot be pickled.
        WorkerDiedError
            If workers die again and again.
        """
        length = chunk_steps(program, recipe, inputs)
        recipe_reference = self._pool.put(recipe)
        done, failures = 0, 0
        while done < len(rates):
            try:
                chunks = self._chunks(
                    recipe_reference, frame, state, rates[done:], first + done, length
                )
                for chunk in chunks:
                    state, failures = chunk.state, 0
                    done += len(chunk.losses)
                    yield chunk
            except (WorkerDiedError, JaxRuntimeError) as error:
                # If one has died, the others wait for it, or report that they cannot reach it.
                failures += 1
                self._replace_workers(failures, error)

    def _chunks(
        self,
        recipe_reference: Future,
        frame: Frame,
        state: StepState,
        rates: NDArray[np.float64],
        first: int,
        length: int,
    ) -> Iterator[Chunk]:
        self._join()
        frame, state = jax.device_get((frame, state))
        self._results(
            self._submit(FitWorker.begin, recipe_reference, frame, state, rates, first, length)
        )
        requests: deque[list[Future]] = deque()
        num_left = -(-len(rates) // length)
        while num_left or requests:
            while num_left and len(requests) < REQUESTED_AHEAD:
                requests.append(self._submit(FitWorker.advance))
                num_left -= 1
            chunk, *others = self._results(requests.popleft())
            if isinstance(chunk, DivergenceError):
                # Only the worker with the rows at fault can name the variables.
                raise next((error for error in (chunk, *others) if error.names), chunk)
            yield chunk._replace(state=jax.tree.map(jnp.asarray, chunk.state))

    def _join(self) -> None:
        """Have the workers join each other and open their shares, unless they have."""
        if self._have_joined:
            return
        address = self._pool.result(self._pool.submit(0, FitWorker.address))
        self._results(self._submit(FitWorker.join, address, len(self._pool)))
        self._results(self._submit(FitWorker.open, self._task))
        self._have_joined = True

    def _replace_workers(self, failures: int, error: Exception) -> None:
        """Restart all workers, since a new worker cannot join the old ones."""
        if failures == MAX_FAILURES:
            raise WorkerDiedError(
                f"The workers of `cluster` must live for a chunk of steps, got {failures} attempts "
                f"in a row in which one died: {error}\n"
                "Hint: look for the cause in the logs of Ray; each needs memory for the data that "
                "the model has in memory."
            ) from error
        for index in range(len(self._pool)):
            self._pool.replace(index)
        self._have_joined = False

    def _submit(self, function: Callable[..., object], *arguments: object) -> list[Future]:
        """Call a method of every worker."""
        return [self._pool.submit(index, function, *arguments) for index in range(len(self._pool))]

    def _results(self, futures: list[Future]) -> list[Any]:
        """Return the results of all workers in their order, or raise the first error."""
        waiting = list(futures)
        while waiting:
            for future in self._pool.wait(waiting):
                self._pool.result(future)
                waiting.remove(future)
        return [self._pool.result(future) for future in futures]


@contextmanager
def distributed_run(
    cluster: Ray | None, model: pm.Model, task: Task, order: AnyOrder
) -> Iterator[DistributedRun | None]:
    """Start the workers of a fit, and end them at the end of a ``with`` block.

    Parameters
    ----------
    cluster : Ray or None
        Where they run; None for a fit in this process alone.
    model : pymc.Model
        The model in minibatches.
    task : Task
        The fit of that model, with feeds of complete batches.
    order : str, Weighted or Stratified
        The order of the rows.

    Yields
    ------
    DistributedRun or None
        Runs the steps on the workers. None without a cluster.

    Raises
    ------
    ValueError
        If the rows cannot be shared.
    """
    if cluster is None:
        yield None
        return
    sizes = _batch_sizes(task.program, task.feeds)
    carry_densities(model)
    with start_workers(cluster, FitWorker) as pool:
        _check_sizes(sizes, len(pool))
        yield DistributedRun(
            pool,
            WorkerTask(
                model,
                order,
                task.row_seed,
                task.noise_seed,
                max(sizes),
                task.program.options.graph_gradients,
            ),
        )


def _batch_sizes(program: Program, feeds: Sequence[Feed]) -> set[int]:
    """Return the sizes of the batches, or raise if workers cannot share their rows."""
    for variable in program.fed:
        window = window_of(storage_of(variable))
        if window and window.requested_size is None and not window.column.source.random_access:
            raise ValueError(
                f"`cluster` must come with windows of a given size, got none for {variable.name!r},"
                " whose windows would be as large as the memory that is free to each worker.\n"
                "Hint: pass in_memory_size= to the minibatches."
            )
    sizes = {leading_batch_size(feed) for feed in feeds}
    generators = [feed.name for feed in feeds if isinstance(feed, ItemFeed)]
    reason = None
    if program.feeds_all_rows or not sizes:
        reason = "a fit of all rows at once"
    elif program.latent is not None:
        reason = f"{program.latent.names[0]!r}, which has a value for each row"
    elif generators:
        reason = f"the generator {generators[0]!r}, whose items come to this process alone"
    elif None in sizes:
        reason = "a minibatch that is sampled otherwise than along its first axis"
    elif not program.takes_weights:
        reason = "rows that enter otherwise than by a likelihood of each"
    if reason:
        raise ValueError(
            f"`cluster` must be for batches of independent rows, which workers share, got {reason}."
            "\nHint: pass a batch_size for a model that is written with all of its data, or leave "
            "`cluster` out."
        )
    return {size for size in sizes if size is not None}


def _check_sizes(sizes: set[int], num_workers: int) -> None:
    if min(sizes) < num_workers:
        raise ValueError(
            f"`cluster` must have at most one worker for each row of a batch, {min(sizes)}, got "
            f"{num_workers}.\nHint: pass a larger batch_size; it counts the rows of all workers."
        )
    if len(sizes) > 1 and any(size % num_workers for size in sizes):
        raise ValueError(
            "`cluster` must have a number of workers that divides the batch sizes where they "
            f"differ, {sorted(sizes)}, got {num_workers}.\n"
            "Hint: pass another `num_workers`, or batches of one size."
        )
