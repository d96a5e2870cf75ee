"""NUTS on many data sets at once: blackjax's, as one program over data sets and chains.

All lanes of a batch go on together, so that a draw takes as long as the longest trajectory of any
of them: this suits models whose trajectories are short. A batch has a fixed number of lanes, each
a function of its own data, key and seed, whatever runs beside it.
"""

from __future__ import annotations

import importlib.util
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from bayou.cluster.cores import usable_cores
from bayou.density.compiled_functions import FunctionKey
from bayou.density.prng import noise_key
from bayou.many.collect import lengths_of, said, seed_of
from bayou.many.results.outcome import Outcome
from bayou.many.vectorised.padding import RowProgram, filled_up, row_program, stacked
from bayou.models.initial_point import start_function
from bayou.models.rewrite import full_data_model
from bayou.nuts.compiled_density import STARTS, held_of
from bayou.nuts.sample import STATISTICS, start_error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import ContainerArrays
    from bayou.density.program import Inputs
    from bayou.many.data_sets import Key
    from bayou.many.vectorised.padding import Lane

# Chains that run together, where their draws take no more than so many bytes.
LANES = 256
BATCH_BYTES = 2**28
MAX_DEPTH = 10


def lane_outcomes(
    model: pm.Model,
    data_sets: Iterator[tuple[Key, ContainerArrays | Exception, str]],
    draws: int,
    tune: int,
    chains: int,
    entropy: int,
) -> Generator[Outcome]:
    """Yield what NUTS drew from each data set, a batch of one padded shape after another.

    Raises
    ------
    ImportError
        If blackjax is not installed.
    TypeError
        If the model cannot be vectorised.
    """
    program = vectorised(model)
    start = start_function(full_data_model(model), jitter=True)
    run = _Run(model, program, start, int(draws), max(int(tune), 1), int(chains), entropy)
    return run.outcomes(data_sets)


def vectorised(model: pm.Model) -> RowProgram:
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
            "\nHint: pip install 'bayou[blackjax]'."
        )
    program = row_program(model)
    if isinstance(program, str):
        raise TypeError(
            f"`sampler` must be 'nutpie' or 'auto' for this model, got 'blackjax', but {program}.\n"
            "Hint: name the rows of what is observed and of all containers that have them, "
            "`dims=`, if the likelihood is a product over rows."
        )
    return program


def is_installed() -> bool:
    """Tell whether blackjax is there."""
    return importlib.util.find_spec("blackjax") is not None


@dataclass(frozen=True, eq=False)
class _Ready:
    """A data set that waits for others of its shape."""

    key: Key
    data: str
    arrays: ContainerArrays
    lane: Lane
    seed: int


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What a batch came to.

    Attributes
    ----------
    batch : list of _Ready
        Its data sets.
    is_finite : ndarray of bool, shape (data sets,)
        Whether all chains of each could start; what else there is of the others is of no meaning.
    positions : ndarray, shape (data sets, chains, draws, size)
    statistics : dict of str to ndarray, shape (data sets, chains, draws)
    seconds : float
    """

    batch: list[_Ready]
    is_finite: NDArray[np.bool_]
    positions: NDArray[np.float64]
    statistics: dict[str, NDArray[Any]]
    seconds: float


@dataclass(frozen=True)
class LanesKey(FunctionKey):
    """A function of lanes: what makes it, the lengths of chains, and the shapes of arguments."""

    make: Callable[..., Any]
    draws: int
    tune: int
    chains: int
    shapes: tuple[tuple[tuple[int, ...], str], ...]


@dataclass(frozen=True, eq=False)
class _Run:
    """NUTS on batches of data sets, as many at a time as there are cores."""

    model: pm.Model
    rows: RowProgram
    start: Callable[..., list[NDArray[Any]]]
    draws: int
    tune: int
    chains: int
    entropy: int

    @property
    def number(self) -> int:
        """How many data sets a batch has, whoever they are."""
        bytes_of_lane = 8 * self.draws * (self.rows.size + 8)
        return max(1, min(LANES, BATCH_BYTES // bytes_of_lane) // self.chains)

    def outcomes(
        self, data_sets: Iterator[tuple[Key, ContainerArrays | Exception, str]]
    ) -> Generator[Outcome]:
        """Yield what came of each data set; those of a shape in their order."""
        waiting: dict[Any, list[_Ready]] = {}
        running: deque[Future[_Drawn]] = deque()
        at_once = usable_cores()
        with ThreadPoolExecutor(at_once) as pool:
            raised: Exception | None = None
            try:
                for found in _and_error(data_sets):
                    if isinstance(found, Exception):
                        # To be raised when those before it are done.
                        raised = found
                        break
                    key, arrays, data = found
                    ready = self._prepared(key, arrays, data)
                    if isinstance(ready, Outcome):
                        yield ready
                        continue
                    batch = waiting.setdefault(ready.lane.shape, [])
                    batch.append(ready)
                    if len(batch) == self.number:
                        running.append(pool.submit(self._run, waiting.pop(ready.lane.shape)))
                    # One more than runs, so that no core waits while results are read.
                    if len(running) > at_once:
                        yield from self._ended(running.popleft().result())
                for batch in waiting.values():
                    running.append(pool.submit(self._run, batch))
                while running:
                    yield from self._ended(running.popleft().result())
                if raised is not None:
                    raise raised
            finally:
                pool.shutdown(cancel_futures=True)

    def _prepared(
        self, key: Key, arrays: ContainerArrays | Exception, data: str
    ) -> _Ready | Outcome:
        if isinstance(arrays, Exception):
            return Outcome(key, data, error=said(arrays))
        try:
            lane = self.rows.lane(held_of(arrays))
            ready = _Ready(key, data, arrays, lane, seed_of(key, self.entropy))
            self.rows.check(self._point(ready, 0), lane)
        except Exception as error:  # Of one data set, which costs the others nothing.
            return Outcome(key, data, error=said(error))
        return ready

    def _point(self, ready: _Ready, seed: int) -> NDArray[np.float64]:
        """Return a point to start from, shape (size,)."""
        values = self.start(seed, held_of(ready.arrays))
        shapes = tuple(value.shape for value in values)
        if shapes != self.rows.program.layout.shapes:
            raise ValueError(
                "`datasets` must leave the free variables the shapes that they have in the model "
                f"with sampler='blackjax', {self.rows.program.layout.shapes}, got {shapes}.\n"
                "Hint: pass sampler='nutpie'."
            )
        return np.concatenate([value.ravel() for value in values])

    def _run(self, batch: list[_Ready]) -> _Drawn:
        """Draw from the posteriors of a batch."""
        began = time.perf_counter()
        filled = filled_up(batch, self.number)
        inputs, weights = stacked([ready.lane for ready in filled])
        seeds = np.array([ready.seed for ready in filled], np.uint64)
        points, is_finite = self._points(batch, inputs, weights)
        found = self._compiled(_sampler, seeds, points, inputs, weights)
        positions, statistics = jax.tree.map(np.asarray, found)
        seconds = time.perf_counter() - began
        return _Drawn(batch, is_finite, positions, statistics, seconds)

    def _points(
        self, batch: list[_Ready], inputs: Inputs, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return where chains start, and for which data sets the density is finite there."""
        tries = [
            np.random.SeedSequence(ready.seed).generate_state(STARTS * self.chains).tolist()
            for ready in batch
        ]
        points = np.zeros((self.number, self.chains, self.rows.size))
        lacking = np.ones((len(batch), self.chains), bool)
        for attempt in range(STARTS):
            for place, chain in np.argwhere(lacking):
                seed = tries[place][attempt * self.chains + chain]
                points[place, chain] = self._point(batch[place], seed)
            points[len(batch) :] = points[0]
            finite = np.asarray(self._compiled(_finite, points, inputs, weights))
            lacking = ~finite[: len(batch)]
            if not lacking.any():
                break
        return points, ~lacking.any(axis=1)

    def _ended(self, drawn: _Drawn) -> Iterator[Outcome]:
        for place, ready in enumerate(drawn.batch):
            if not drawn.is_finite[place]:
                error = start_error(self.model, self.start, ready.arrays)
                yield Outcome(ready.key, ready.data, error=said(error))
                continue
            statistics = {name: drawn.statistics[name][place] for name in STATISTICS}
            numbers = {
                **lengths_of(self.model, ready.arrays),
                "divergences": float(statistics["diverging"].sum()),
                "seconds": drawn.seconds,
            }
            draws = self._compiled(_constrained, drawn.positions[place], self._given(ready.lane))
            posterior = {
                variable.name: np.asarray(draws[variable.name])
                for variable in self.model.unobserved_RVs
            }
            groups = {"posterior": posterior, "sample_stats": statistics}
            yield Outcome(ready.key, ready.data, groups, numbers)

    def _given(self, lane: Lane) -> Inputs:
        """Return what values in the space of the model are computed from, besides the position."""
        program = self.rows.program
        return lane.inputs if program.constrains_rows else lane.inputs[len(program.fed) :]

    def _compiled(self, make: Callable[[_Run], Callable[..., Any]], *arguments: Any) -> Any:
        """Call a function that is compiled once for a program and shapes."""
        shapes = tuple((part.shape, str(part.dtype)) for part in jax.tree.leaves(arguments))
        key = LanesKey(make, self.draws, self.tune, self.chains, shapes)
        compiled = self.rows.program.compiled.get_or_compile(
            key, lambda: jax.jit(make(self)).lower(*arguments).compile()
        )
        return compiled(*arguments)


def _sampler(run: _Run) -> Callable[..., Any]:
    """Return what draws with NUTS: seeds, starting points, inputs, weights -> draws.

    Returns positions, shape (data sets, chains, draws, size), and what is said of them.
    """
    # It takes seconds to import.
    import blackjax

    kernel = blackjax.nuts.build_kernel()

    def chain(key: Any, point: Any, inputs: Inputs, weights: Any) -> Any:
        def density(position: Any) -> Any:
            return run.rows.program.density(position, inputs, weights)

        def step(state: Any, key: Any) -> Any:
            state, info = kernel(key, state, density, max_num_doublings=MAX_DEPTH, **adapted)
            depth = info.num_trajectory_expansions
            goes_on = ~(info.is_divergent | info.is_turning)
            return state, (
                state.position,
                {
                    "lp": state.logdensity,
                    "energy": info.energy,
                    "diverging": info.is_divergent,
                    "tree_depth": depth.astype(jnp.uint64),
                    "reached_max_treedepth": (depth == MAX_DEPTH) & goes_on,
                    "n_steps": info.num_integration_steps.astype(jnp.uint64),
                    "acceptance_rate": info.acceptance_rate,
                },
            )

        tuning_key, key = jax.random.split(key)
        tuning = blackjax.window_adaptation(
            blackjax.nuts, density, adaptation_info_fn=_nothing, max_num_doublings=MAX_DEPTH
        )
        (state, adapted), _ = tuning.run(tuning_key, point, run.tune)
        adapted = {name: adapted[name] for name in ("step_size", "inverse_mass_matrix")}
        return jax.lax.scan(step, state, jax.random.split(key, run.draws))[1]

    def data_set(seed: Any, points: Any, inputs: Inputs, weights: Any) -> Any:
        keys = jax.random.split(noise_key(seed), run.chains)
        return jax.vmap(chain, (0, 0, None, None))(keys, points, inputs, weights)

    return jax.vmap(data_set)


def _and_error[Item](items: Iterator[Item]) -> Iterator[Item | Exception]:
    """Yield items, and the error that ends them, if one does."""
    try:
        yield from items
    except Exception as error:
        yield error


def _nothing(*unused: Any) -> None:
    """Keep nothing of the steps that tune."""


def _finite(run: _Run) -> Callable[..., Any]:
    """Return what tells whether the density and its gradient are finite at points."""

    def finite(point: Any, inputs: Inputs, weights: Any) -> Any:
        density = jax.value_and_grad(run.rows.program.density)
        return jnp.isfinite(ravel_pytree(density(point, inputs, weights))[0]).all()

    return jax.vmap(jax.vmap(finite, (0, None, None)))


def _constrained(run: _Run) -> Callable[..., Any]:
    """Return what turns positions of a data set into values in the space of the model."""
    return jax.vmap(jax.vmap(run.rows.program.constrain, (0, None)), (0, None))
