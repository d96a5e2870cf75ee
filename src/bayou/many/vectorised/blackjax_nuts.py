"""NUTS of blackjax on many data sets at once: one program over batches of data sets and chains.

Each data set of a batch is a lane. All lanes take each draw together, so that a draw takes as long
as the longest trajectory of any of them: this suits models whose trajectories are short. A batch
has the same number of lanes at all times, and the draws of a lane are a function of its data, key
and seed only, whatever runs beside it. ``padding`` gives data sets common shapes, and
``lane_functions`` runs the batches.
"""

from __future__ import annotations

import importlib.util
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads
from bayou.compression.weighted_model import weighted_model
from bayou.many.data_sets.pending import lengths_of, with_checked_weights
from bayou.many.results.outcome import Outcome
from bayou.many.vectorised.blackjax_kernel import LaneFunctions
from bayou.many.vectorised.padding import (
    NoRowProgram,
    RowProgram,
    fill_up,
    row_program,
    stack_lanes,
)
from bayou.models.initial_point import start_function
from bayou.models.rewrite import full_data_model
from bayou.nuts.chains import start_error
from bayou.nuts.compiled.compiled_density import STARTS, values_by_container
from bayou.nuts.convergence.chain_diagnostics import statistic_diagnostics
from bayou.nuts.trace import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator
    from concurrent.futures import Future

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs
    from bayou.many.data_sets.pending import Pending, PendingDataSet
    from bayou.many.vectorised.padding import Lane
    from bayou.nuts.settings import NutsSettings

# Chains of a batch, of all of its lanes together: more of them share the cost of each step, but
# wait for longer trajectories.
MOST_CHAINS = 256
# Fewer lanes where the draws of a batch would take more than 256 MiB.
BATCH_BYTES = 2**28


def blackjax_outcomes(
    model: pm.Model,
    pending: Iterator[Pending],
    settings: NutsSettings,
    *,
    weights: str | None = None,
) -> Generator[Outcome]:
    """Yield the outcomes of data sets that blackjax samples; those of one shape in their order.

    Parameters
    ----------
    model : pymc.Model
        As it is written.
    pending : iterator of PendingDataSet or Outcome
        Outcomes are passed on.
    settings : NutsSettings
    weights : str, optional
        The container of the weights of the rows.

    Raises
    ------
    ImportError
        If blackjax is not installed.
    TypeError
        If the model cannot be vectorised.
    """
    pending = with_checked_weights(pending, model, weights)
    model = weighted_model(model, weights)
    program = check_vectorized(model)
    bytes_of_chain = 8 * settings.draws * (program.size + len(STATISTICS) + 1)
    num_chains = min(MOST_CHAINS, BATCH_BYTES // bytes_of_chain)
    batches = _Batches(
        model,
        program,
        LaneFunctions(program.program, settings),
        start_function(full_data_model(model), jitter=True),
        settings,
        num_lanes=max(1, num_chains // settings.chains),
    )
    return batches.outcomes(pending)


def check_vectorized(model: pm.Model) -> RowProgram:
    """Return the program of a model for lanes.

    Raises
    ------
    ImportError
        If blackjax is not installed.
    TypeError
        If the model cannot be vectorised.
    """
    if not is_installed():
        raise ImportError(
            "`sampler` must be 'nutpie' or 'auto' where blackjax is not installed, got 'blackjax'."
            '\nHint: pip install "bayou[blackjax]".'
        )
    program = row_program(model)
    if isinstance(program, NoRowProgram):
        raise TypeError(
            "`sampler` must be 'nutpie' or 'auto' for this model, got 'blackjax', but "
            f"{program.reason}.\nHint: {program.hint}"
        )
    return program


def is_installed() -> bool:
    """Return whether blackjax is installed."""
    return importlib.util.find_spec("blackjax") is not None


@dataclass(frozen=True, eq=False)
class _Ready:
    """A data set that waits for others of its shape."""

    data_set: PendingDataSet
    lane: Lane


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The draws of a batch.

    Attributes
    ----------
    batch : list of _Ready
        Its data sets.
    can_start : ndarray of bool, shape (data sets,)
        Whether all chains of a data set have a starting point; the draws of others mean nothing.
    positions : ndarray of float64, shape (lanes, chains, draws, parameters)
    statistics : dict of str to ndarray, shape (lanes, chains, draws)
    seconds : float
    """

    batch: list[_Ready]
    can_start: NDArray[np.bool_]
    positions: NDArray[np.float64]
    statistics: dict[str, Numbers]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Batches:
    """Batches of data sets, as many at a time as there are cores."""

    model: pm.Model
    rows: RowProgram
    functions: LaneFunctions
    start: Callable[..., list[NDArray[np.float64]]]
    settings: NutsSettings
    num_lanes: int

    def outcomes(self, pending: Iterator[Pending]) -> Generator[Outcome]:
        """Yield the outcomes of data sets."""
        waiting: dict[Hashable, list[_Ready]] = {}
        running: deque[Future[_Drawn]] = deque()
        most_running = usable_cores()
        with limited_threads(most_running), ThreadPoolExecutor(most_running) as pool:
            raised: Exception | None = None
            try:
                for data_set in _yield_error(pending):
                    if isinstance(data_set, Exception):
                        # Raised once the data sets before it are done.
                        raised = data_set
                        break
                    ready = data_set if isinstance(data_set, Outcome) else self._prepare(data_set)
                    if isinstance(ready, Outcome):
                        yield ready
                        continue
                    batch = waiting.setdefault(ready.lane.shape, [])
                    batch.append(ready)
                    if len(batch) == self.num_lanes:
                        running.append(pool.submit(self._run, waiting.pop(ready.lane.shape)))
                    # One batch more than runs, so that no core idles while results are read.
                    if len(running) > most_running:
                        yield from self._read(running.popleft().result())
                for batch in waiting.values():
                    running.append(pool.submit(self._run, batch))
                while running:
                    yield from self._read(running.popleft().result())
                if raised is not None:
                    raise raised
            finally:
                pool.shutdown(cancel_futures=True)

    def _prepare(self, data_set: PendingDataSet) -> _Ready | Outcome:
        """Pad a data set, or return the outcome of one that the program cannot take."""
        try:
            ready = _Ready(data_set, self.rows.lane(values_by_container(data_set.arrays)))
            self.rows.check(self._point(data_set, 0), ready.lane)
        # Whatever is wrong with one data set must not cost the results of the others.
        except Exception as error:
            return data_set.failed(error)
        return ready

    def _point(self, data_set: PendingDataSet, seed: int) -> NDArray[np.float64]:
        """Return a starting point, shape (parameters,)."""
        values = self.start(seed, values_by_container(data_set.arrays))
        shapes = tuple(value.shape for value in values)
        expected = self.rows.program.layout.shapes
        if shapes != expected:
            raise ValueError(
                "`datasets` must leave the free variables the shapes that they have in the model "
                f"with sampler='blackjax', {expected}, got {shapes}.\n"
                "Hint: pass sampler='nutpie'."
            )
        return np.concatenate([value.ravel() for value in values])

    def _run(self, batch: list[_Ready]) -> _Drawn:
        """Draw from the posteriors of a batch."""
        began = time.perf_counter()
        lanes = fill_up(batch, self.num_lanes)
        inputs, weights = stack_lanes([ready.lane for ready in lanes])
        seeds = np.array([ready.data_set.seed for ready in lanes], np.uint64)
        points, can_start = self._starting_points(batch, inputs, weights)
        positions, statistics = self.functions.sample(seeds, points, inputs, weights)
        seconds = time.perf_counter() - began
        return _Drawn(batch, can_start, positions, statistics, seconds)

    def _starting_points(
        self, batch: list[_Ready], inputs: Inputs, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return where chains start, and which data sets have a point for each chain.

        A chain has some tries to find a point where the density is finite.
        """
        chains = self.settings.chains
        seeds = [
            np.random.SeedSequence(ready.data_set.seed).generate_state(STARTS * chains).tolist()
            for ready in batch
        ]
        points = np.zeros((self.num_lanes, chains, self.rows.size))
        to_draw = np.ones((len(batch), chains), bool)
        for attempt in range(STARTS):
            for index, chain in np.argwhere(to_draw):
                seed = seeds[index][attempt * chains + chain]
                points[index, chain] = self._point(batch[index].data_set, seed)
            # The lanes that only fill up the batch are copies of the first.
            points[len(batch) :] = points[0]
            to_draw = ~self.functions.are_finite(points, inputs, weights)[: len(batch)]
            if not to_draw.any():
                break
        return points, ~to_draw.any(axis=1)

    def _read(self, drawn: _Drawn) -> Iterator[Outcome]:
        """Yield the outcomes of a batch."""
        for index, ready in enumerate(drawn.batch):
            arrays = ready.data_set.arrays
            if not drawn.can_start[index]:
                yield ready.data_set.failed(start_error(self.model, self.start, arrays))
                continue
            statistics = {name: drawn.statistics[name][index] for name in STATISTICS}
            diagnostics = {
                **lengths_of(self.model, arrays),
                **statistic_diagnostics(statistics),
                "seconds": drawn.seconds,
            }
            values = self.functions.constrain(
                drawn.positions[index], self.rows.constrain_inputs(ready.lane)
            )
            posterior = {
                variable.name: values[variable.name] for variable in self.model.unobserved_RVs
            }
            groups = {"posterior": posterior, "sample_stats": statistics}
            yield ready.data_set.succeeded(groups, diagnostics)


def _yield_error[Item](items: Iterator[Item]) -> Iterator[Item | Exception]:
    """Yield items, and the exception that ends them, if one does."""
    try:
        yield from items
    except Exception as error:
        yield error
