"""The steps of a stochastic fit on the workers of a cluster, each on its share of every batch.

The fit itself stays where it was called: there chunks of steps are asked for, from the state that
the last one ended with. A worker that dies costs the chunk that it was in.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.errors import JaxRuntimeError

from bayou.cluster.connection import host_address
from bayou.cluster.jax_processes import free_port, join
from bayou.cluster.workers import start_workers
from bayou.containers.variables.source_variable import window_of
from bayou.density.build import compile_program
from bayou.density.prng import noise_key
from bayou.errors import DivergenceError, WorkerDiedError
from bayou.feeding.feed import ItemFeed
from bayou.fitting.rows.feeds import compile_row_order, leading_batch_size, program_feeds
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic.steps import chunk_steps, run_steps
from bayou.models.inputs import storage_of
from bayou.models.pickling import carry_densities
from bayou.sampling.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.cluster.workers import Future, Workers
    from bayou.density.program import Program
    from bayou.feeding.feed import Feed
    from bayou.feeding.source_feed import AnyOrder
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.rows.task import Task
    from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState

# Chunks that workers are asked for at once, so that they need not wait for the next request.
ASKED_AT_ONCE = 2
# Attempts in a row that end without a chunk.
MOST_FAILURES = 3


class FitWorker:
    """What a worker holds: its share of a fit. Its methods run in the worker.

    Parameters
    ----------
    index : int
        The number of the worker.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._recipe: Recipe | None = None
        self._chunks: Iterator[Chunk] = iter(())

    def address(self) -> str:
        """Return where the others find this worker."""
        return f"{host_address()}:{free_port()}"

    def join(self, address: str, size: int) -> None:
        """Compute with the others from now on."""
        self.team = join(address, self._index, size)

    def open(self, task: WorkerTask) -> None:
        """Be ready to read this worker's share of the rows."""
        shard = Shard(self._index, self.team.size, even=True)
        self._program = compile_program(task.model)
        feeds = program_feeds(self._program, task.order, task.row_seed, shard)
        compile_row_order(feeds, task.order)
        self._inputs = StepInputs(
            feeds=feeds,
            data=self._program.data_values(),
            key=noise_key(task.noise_seed),
            team=self.team,
            row_weights=shard.weights(task.batch_size),
        )

    def begin(
        self,
        recipe: Recipe,
        frame: Frame,
        state: StepState,
        rates: NDArray[np.float64],
        first: int,
        length: int,
    ) -> None:
        """Be ready to run steps, as :func:`bayou.fitting.stochastic.steps.run_steps` takes them."""
        # Each copy that arrives would be compiled anew; a fit has one recipe.
        self._recipe = self._recipe or recipe
        self._chunks = run_steps(
            self._program, self._recipe, frame, self._inputs, state, rates, first, length
        )

    def advance(self) -> Chunk | DivergenceError | None:
        """Run a chunk of steps with the others; the first of the workers returns it."""
        try:
            chunk = next(self._chunks, None)
        except DivergenceError as error:
            # All workers have met it, and one of them has the rows at fault.
            return error
        return jax.device_get(chunk) if self._index == 0 else None


@dataclass(frozen=True)
class WorkerTask:
    """What all workers of a fit are given.

    Attributes
    ----------
    model : pymc.Model
        In minibatches.
    order : str, Weighted or Stratified
        Of the rows.
    row_seed, noise_seed : int
        Decide the rows and the noise.
    batch_size : int
        The rows of a step, of all workers together.
    """

    model: pm.Model
    order: AnyOrder
    row_seed: int
    noise_seed: int
    batch_size: int


class DistributedRun:
    """Has workers run the steps of a fit; called as the `run` of `steps` is.

    Parameters
    ----------
    pool : Workers
        Each holds a :class:`FitWorker`.
    task : WorkerTask
        What they are given.
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
        """Run steps, and yield at the end of each chunk.

        Chunks are as long as without workers, so that whatever is decided at their ends is too.

        Raises
        ------
        DivergenceError
            If a loss is not finite.
        TypeError
            If the recipe does not pickle.
        WorkerDiedError
            If workers die again and again.
        """
        length = chunk_steps(program, recipe, inputs)
        sent = self._pool.put(recipe)
        done, failures = 0, 0
        while done < len(rates):
            try:
                for chunk in self._chunks(sent, frame, state, rates[done:], first + done, length):
                    state, failures = chunk.state, 0
                    done += len(chunk.losses)
                    yield chunk
            except (WorkerDiedError, JaxRuntimeError) as error:
                # Where one has died, the others hang, or find that they cannot reach it.
                failures += 1
                self._replace(failures, error)

    def _chunks(
        self,
        sent: Any,
        frame: Frame,
        state: StepState,
        rates: NDArray[np.float64],
        first: int,
        length: int,
    ) -> Iterator[Chunk]:
        self._join()
        frame, state = jax.device_get((frame, state))
        self._results(self._submit(FitWorker.begin, sent, frame, state, rates, first, length))
        asked: deque[list[Future]] = deque()
        num_left = -(-len(rates) // length)
        while num_left or asked:
            while num_left and len(asked) < ASKED_AT_ONCE:
                asked.append(self._submit(FitWorker.advance))
                num_left -= 1
            chunk, *others = self._results(asked.popleft())
            if isinstance(chunk, DivergenceError):
                raise next((error for error in (chunk, *others) if error.names), chunk)
            yield chunk._replace(state=jax.tree.map(jnp.asarray, chunk.state))

    def _join(self) -> None:
        """Have the workers join, and open their shares, unless they have."""
        if self._have_joined:
            return
        address = self._pool.result(self._pool.submit(0, FitWorker.address))
        self._results(self._submit(FitWorker.join, address, len(self._pool)))
        self._results(self._submit(FitWorker.open, self._task))
        self._have_joined = True

    def _replace(self, failures: int, error: Exception) -> None:
        """Put other workers in the place of all, since none can join the others later."""
        if failures == MOST_FAILURES:
            raise WorkerDiedError(
                "The workers of `cluster` must live for a chunk of steps, got none of "
                f"{failures} attempts that did: {error}\n"
                "Hint: look for the cause in the logs of Ray; each needs memory for the data that "
                "the model holds."
            ) from error
        for index in range(len(self._pool)):
            self._pool.replace(index)
        self._have_joined = False

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> list[Future]:
        """Have all of the workers do something."""
        return [self._pool.submit(index, function, *arguments) for index in range(len(self._pool))]

    def _results(self, futures: list[Future]) -> list[Any]:
        """Return what all of the workers return, or raise what the first of them raises."""
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
        If the rows cannot be task.
    """
    if cluster is None:
        yield None
        return
    sizes = _batch_sizes(task.program, task.feeds)
    carry_densities(model)
    with start_workers(cluster, FitWorker) as pool:
        _check_sizes(sizes, len(pool))
        yield DistributedRun(
            pool, WorkerTask(model, order, task.row_seed, task.noise_seed, max(sizes))
        )


def _batch_sizes(program: Program, feeds: Sequence[Feed]) -> set[int]:
    """Return the sizes of the batches that are cut into parts, or say why they cannot be."""
    for variable in program.fed:
        window = window_of(storage_of(variable))
        if window and window.requested_size is None and not window.column.source.random_access:
            raise ValueError(
                f"`cluster` must come with windows of a given size, got none for {variable.name!r},"
                " whose windows would be as large as the memory that is free to each worker.\n"
                "Hint: pass in_memory_size= to the minibatches."
            )
    sizes = {leading_batch_size(feed) for feed in feeds}
    streams = [feed.name for feed in feeds if isinstance(feed, ItemFeed)]
    reason = None
    if program.feeds_all_rows or not sizes:
        reason = "a fit of all rows at once"
    elif program.latent is not None:
        reason = f"{program.latent.names[0]!r}, which has a value for each row"
    elif streams:
        reason = f"the generator {streams[0]!r}, whose items come to this process alone"
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
