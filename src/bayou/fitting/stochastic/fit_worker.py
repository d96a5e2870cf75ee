"""A worker of a distributed fit: it runs the steps on its share of the rows of every batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax

from bayou.cluster.connection import host_address
from bayou.cluster.jax_processes import free_port, join_team
from bayou.density.build import compile_program
from bayou.density.prng import noise_key
from bayou.errors import DivergenceError
from bayou.fitting.rows.feeds import compile_row_order, program_feeds
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic.steps import run_steps
from bayou.sampling.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.feeding.source_batches import AnyOrder
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState


@dataclass(frozen=True)
class WorkerTask:
    """The part of a fit that all workers have in common.

    Attributes
    ----------
    model : pymc.Model
        The model in minibatches.
    order : str, Weighted or Stratified
        The order of the rows.
    row_seed, noise_seed : int
        Decide the rows and the noise.
    batch_size : int
        The rows of a step, of all workers together.
    graph_gradients : bool
        Whether gradients are those that PyTensor derives.
    """

    model: pm.Model
    order: AnyOrder
    row_seed: int
    noise_seed: int
    batch_size: int
    graph_gradients: bool = False


class FitWorker:
    """A share of a fit, in the process of a worker. All of its methods run there.

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
        """Return an address at which the other workers can reach this one."""
        return f"{host_address()}:{free_port()}"

    def join(self, address: str, size: int) -> None:
        """Join the team of ``size`` workers that meets at an address."""
        self.team = join_team(address, self._index, size)

    def open(self, task: WorkerTask) -> None:
        """Compile the model and open the feeds of this worker's share of the rows."""
        shard = Shard(self._index, self.team.size, even=True)
        self._program = compile_program(task.model, graph_gradients=task.graph_gradients)
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
        """Set the steps that :meth:`advance` runs; arguments of ``steps.run_steps``."""
        # A fit has one recipe, and each copy that arrives would be compiled again.
        self._recipe = self._recipe or recipe
        self._chunks = run_steps(
            self._program, self._recipe, frame, self._inputs, state, rates, first, length
        )

    def advance(self) -> Chunk | DivergenceError | None:
        """Run a chunk of steps together with the other workers.

        Returns
        -------
        Chunk, DivergenceError or None
            The chunk, from the first worker alone. The error, if a loss is not finite; that of the
            worker with the rows at fault names the variables.
        """
        try:
            chunk = next(self._chunks, None)
        except DivergenceError as error:
            # Returned, not raised: all workers have it, and the caller must see the one with names.
            return error
        return jax.device_get(chunk) if self._index == 0 else None
