"""Chains of nutpie on a compiled density: started, and their failures explained."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads
from bayou.density.non_finite import row_at_fault
from bayou.errors import failure_text
from bayou.nuts.compiled.compiled_density import STARTS, values_by_container
from bayou.nuts.start_values import with_start
from bayou.nuts.term_densities import term_densities
from bayou.nuts.trace import TakenTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import ContainerArrays
    from bayou.nuts.compiled.bound_density import BoundDensity
    from bayou.nuts.compiled.compiled_density import CompiledDensity
    from bayou.nuts.settings import NutsSettings
    from bayou.nuts.start_values import Start
    from bayou.nuts.trace import ChainProgress, NutpieTrace

# When chains that may end early are looked at: after so many draws, then after half as many more.
FIRST_LOOK = 250
LOOK_GROWTH = 1.5
# How long to wait before it is asked again whether they have these draws.
LOOK_SECONDS = 0.05
# How often draws go to disk.
TAKE_SECONDS = 2.0
# Chains of one call of JAX, where they share cores. A gradient of a regression of 30,000 rows x 20
# takes 0.7 ms of a core in four lanes, 1.1 in two and 0.9 in one (8,400 gradients, busy cores).
LEAST_LANES = 4


def bind_data(
    model: pm.Model,
    density: CompiledDensity,
    arrays: ContainerArrays | None = None,
    starts: Sequence[Start] | None = None,
    backend: str = "numba",
    num_lanes: int = 1,
) -> BoundDensity:
    """Bind a compiled density to data, and check that a chain can start there.

    Parameters
    ----------
    model : pymc.Model
        The model of the density, for the error.
    density : CompiledDensity
    arrays : mapping of SharedVariable to ndarray, optional
        Values to use instead of the present ones.
    starts : sequence of callable, optional
        Where chains start by the user's wish, as :func:`chain_starts` gives it. Of several, the
        density has the first.
    backend, num_lanes
        As for :meth:`bayou.nuts.compiled.compiled_density.CompiledDensity.bind`.

    Raises
    ------
    ValueError
        If the density is not finite at any of the starting points that are tried: names the
        variables whose log density is not.
    """
    bound = density.bind(arrays, backend, num_lanes)
    # nutpie would find out too, but a process in which all chains of a sampler failed to start
    # crashes when it exits.
    for start in reversed(starts or [density.start]):
        if starts is not None:
            bound = with_start(bound, start)
        if not any(bound.is_finite_at_start(seed) for seed in range(STARTS)):
            raise start_error(model, start, arrays)
    return bound


def lanes_of(num_chains: int) -> int:
    """Return how many chains JAX computes for in one call.

    As many as share a core, or one where each has its own. It depends on the machine and on nothing
    else, since the rounding of a call depends on it.
    """
    share = -(-num_chains // usable_cores())
    return share if share == 1 else min(num_chains, max(share, LEAST_LANES))


def run_chains(
    bound: BoundDensity,
    settings: NutsSettings,
    seed: int | None,
    *,
    progressbar: bool,
    is_enough: Callable[[NutpieTrace, int], bool] | None = None,
    deadline: float = math.inf,
) -> NutpieTrace:
    """Run all chains, and return their trace.

    Parameters
    ----------
    bound : BoundDensity
    settings : NutsSettings
    seed : int or None
    progressbar : bool
    is_enough : callable, optional
        (the trace so far, the draws that all chains have) -> whether the chains may end. It is
        asked at numbers of draws that depend on nothing else, so that results do not depend on how
        fast chains are.
    deadline : float, default inf
        The moment, on the clock of :func:`time.monotonic`, at which chains that may end early do,
        with what they have drawn: nothing, if they are still tuned.

    Raises
    ------
    RuntimeError
        If nutpie fails; see :func:`explain_failure`.
    """
    with limited_threads(settings.num_parallel, settings.num_cores):
        if is_enough is None:
            return _nutpie_sample(  # type: ignore[no-any-return]
                bound, settings, seed, progressbar=progressbar, blocking=True
            )
        return _run_until(
            is_enough, bound, settings, seed, deadline=deadline, progressbar=progressbar
        )


def _run_until(
    is_enough: Callable[[NutpieTrace, int], bool],
    bound: BoundDensity,
    settings: NutsSettings,
    seed: int | None,
    *,
    deadline: float,
    progressbar: bool,
) -> NutpieTrace:
    done = [0] * settings.chains

    def note(progress: list[ChainProgress]) -> None:
        done[:] = [chain.finished_draws for chain in progress]

    chains = _nutpie_sample(
        bound, settings, seed, progressbar=progressbar, blocking=False, progress_callback=note
    )
    ended: NutpieTrace | None = None
    number = FIRST_LOOK
    try:
        while ended is None or number < settings.draws:
            if ended is None:
                if time.monotonic() > deadline:
                    return TakenTrace.of(chains.abort())
                with suppress(TimeoutError):
                    ended = TakenTrace.of(chains.wait(timeout=LOOK_SECONDS))
            has_draws = ended is not None or min(done) >= settings.num_tuning_steps + number
            if number >= settings.draws or not has_draws:
                continue
            trace = ended or TakenTrace.of(chains.inspect())
            if is_enough(trace, number):
                if ended is None:
                    chains.cancel()
                return trace
            number = int(number * LOOK_GROWTH)
        return ended
    except KeyboardInterrupt:
        return ended or chains.abort()
    except BaseException:
        chains.cancel()
        raise


def follow_chains(
    bound: BoundDensity,
    settings: NutsSettings,
    seed: int,
    take: Callable[[NutpieTrace], None],
    show: Callable[[list[ChainProgress]], None],
) -> bool:
    """Run all chains, and hand on what they have drawn from time to time, and at the end.

    Parameters
    ----------
    bound : BoundDensity
    settings : NutsSettings
    seed : int
    take : callable
        Takes the trace so far, which has coordinates too.
    show : callable
        Takes nutpie's progress of each chain.

    Returns
    -------
    bool
        Whether the chains came to their end; False after Ctrl-C.
    """
    done = [0] * settings.chains

    def note(progress: list[ChainProgress]) -> None:
        done[:] = [chain.finished_draws for chain in progress]
        show(progress)

    options = {"progress_callback": note, "store_unconstrained": True}
    with limited_threads(settings.num_parallel, settings.num_cores):
        chains = _nutpie_sample(bound, settings, seed, progressbar=False, blocking=False, **options)
        try:
            while True:
                try:
                    take(chains.wait(timeout=TAKE_SECONDS))
                except TimeoutError:
                    if min(done) > settings.num_tuning_steps:
                        take(chains.inspect())
                else:
                    return True
        except KeyboardInterrupt:
            take(chains.abort())
            return False
        except BaseException:
            chains.cancel()
            raise


def chain_seeds(bound: BoundDensity, settings: NutsSettings, seed: int) -> list[int]:
    """Return the seeds that nutpie asks for the starting point of each chain with.

    A run of trajectories without steps, whose draws are the starting points.
    """
    asked: dict[bytes, int] = {}

    def candidate(chain_seed: int, attempt: int) -> NDArray[np.float64]:
        position = bound.candidate(chain_seed, attempt)
        asked[bound.frame.coordinates(position).tobytes()] = chain_seed
        return position

    trial = replace(bound, candidate=candidate, spread=None)
    shortest = replace(settings, draws=1, tune=1)
    options = {"maxdepth": 0, "store_unconstrained": True}
    trace = _nutpie_sample(trial, shortest, seed, progressbar=False, blocking=True, **options)
    statistics = [pa.record_batch(batch) for batch in trace.get_arrow_trace()[1]]
    starts = [batch["unconstrained_draw"].flatten().to_numpy() for batch in statistics]
    return [asked[start[: bound.size].tobytes()] for start in starts]


class RunningChains(Protocol):
    """The chains of a sampler of nutpie, which run in its threads."""

    def wait(self) -> NutpieTrace:
        """Wait for the chains to end, and return their trace; RuntimeError if they fail."""

    def cancel(self) -> None:
        """End the chains."""


def start_chains(bound: BoundDensity, settings: NutsSettings, seed: int) -> RunningChains:
    """Start the chains, and return without waiting for them."""
    return _nutpie_sample(  # type: ignore[no-any-return]
        bound, settings, seed, progressbar=False, blocking=False
    )


def _nutpie_sample(
    bound: BoundDensity,
    settings: NutsSettings,
    seed: int | None,
    *,
    progressbar: bool,
    blocking: bool,
    **options: object,
) -> Any:
    # Importing nutpie imports ArviZ's plots, for which only those who sample should wait.
    import nutpie

    of_run = {
        "draws": settings.draws,
        "tune": settings.num_tuning_steps,
        "chains": settings.chains,
        "cores": bound.num_threads(settings.chains, settings.num_parallel),
        "target_accept": settings.target_accept,
        "maxdepth": settings.max_treedepth,
        "adaptation": settings.adaptation,
        "progress_bar": progressbar,
    }
    try:
        return nutpie.sample(
            bound.nutpie_model,
            seed=seed,
            return_raw_trace=True,
            blocking=blocking,
            **of_run | options,
        )
    except BaseException as error:
        # A fault in a thread of the sampler is no Exception, so that `except` lets it pass.
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(
            f"The sampler must be able to compute densities and draws, got {failure_text(error)}.\n"
            'Hint: pass the other backend, backend="numba" or backend="jax".'
        ) from error


def explain_failure(
    error: RuntimeError,
    model: pm.Model,
    density: CompiledDensity,
    bound: BoundDensity,
    arrays: ContainerArrays | None = None,
) -> Exception:
    """Return the error to raise where nutpie failed.

    nutpie has one type of error for all failures. Starting points whose density is not finite are
    the likeliest, so those are looked for; otherwise the error is nutpie's own.
    """
    for seed in range(STARTS):
        if not bound.is_finite_at_start(seed):
            return start_error(model, density.start, arrays, seed)
    return error


def start_error(
    model: pm.Model,
    start: Callable[..., list[NDArray[np.float64]]],
    arrays: ContainerArrays | None,
    seed: int = 0,
) -> ValueError:
    """Return the error for a density that is not finite at a starting point.

    Parameters
    ----------
    model : pymc.Model
    start : callable
        (seed, values of shared variables by their containers) -> starting values of the free
        variables, transformed.
    arrays : mapping of SharedVariable to ndarray or None
        Values to use instead of the present ones.
    seed : int, default 0
        The seed of the starting point.
    """
    terms = term_densities(model, start(seed, values_by_container(arrays or {})), arrays)
    sums = {name: term.sum() for name, term in terms.items()}
    not_finite = [
        f"{total} from {name!r}" for name, total in sums.items() if not np.isfinite(total)
    ]
    row = row_at_fault(
        terms[variable.name] for variable in model.observed_RVs if terms[variable.name].ndim
    )
    first = "" if row is None else f", first in row {row}"
    return ValueError(
        "The log density must be finite where the chains start, got "
        f"{', '.join(not_finite) or 'a gradient that is not finite'}{first}.\n"
        "Hint: check the observed values against the support of the likelihood, or give "
        "`initval=` to the variables that it depends on."
    )
