"""Chains of nutpie on a compiled density: started, and their failures explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayou.cluster.threads import limited_threads
from bayou.nuts.compiled.compiled_density import STARTS, values_by_container
from bayou.nuts.term_densities import term_densities

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import ContainerArrays
    from bayou.nuts.compiled.bound_density import BoundDensity
    from bayou.nuts.compiled.compiled_density import CompiledDensity
    from bayou.nuts.settings import NutsSettings
    from bayou.nuts.trace import NutpieTrace


def bind_data(
    model: pm.Model, density: CompiledDensity, arrays: ContainerArrays | None = None
) -> BoundDensity:
    """Bind a compiled density to data, and check that a chain can start there.

    Parameters
    ----------
    model : pymc.Model
        The model of the density, for the error.
    density : CompiledDensity
    arrays : mapping of SharedVariable to ndarray, optional
        Values to use instead of the present ones.

    Raises
    ------
    ValueError
        If the density is not finite at any of the starting points that are tried: names the
        variables whose log density is not.
    """
    bound = density.bind(arrays)
    # nutpie would find out too, but a process in which all chains of a sampler failed to start
    # crashes when it exits.
    if not any(bound.is_finite_at_start(seed) for seed in range(STARTS)):
        raise start_error(model, density.start, arrays)
    return bound


def run_chains(
    bound: BoundDensity, settings: NutsSettings, seed: int | None, *, progressbar: bool
) -> NutpieTrace:
    """Run all chains, and return their trace.

    Raises
    ------
    RuntimeError
        If nutpie fails; see :func:`explain_failure`.
    """
    with limited_threads(settings.num_parallel, settings.num_cores):
        return _nutpie_sample(  # type: ignore[no-any-return]
            bound, settings, seed, progressbar=progressbar, blocking=True
        )


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
) -> Any:
    # Importing nutpie imports ArviZ's plots, for which only those who sample should wait.
    import nutpie

    return nutpie.sample(
        bound.nutpie_model,
        draws=settings.draws,
        tune=settings.num_tuning_steps,
        chains=settings.chains,
        cores=settings.num_parallel,
        seed=seed,
        target_accept=settings.target_accept,
        maxdepth=settings.max_treedepth,
        adaptation=settings.adaptation,
        progress_bar=progressbar,
        return_raw_trace=True,
        blocking=blocking,
    )


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
    start: Callable[..., list[NDArray[Any]]],
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
    not_finite = [
        f"{value} from {name!r}" for name, value in terms.items() if not np.isfinite(value)
    ]
    return ValueError(
        "The log density must be finite where the chains start, got "
        f"{', '.join(not_finite) or 'a gradient that is not finite'}.\n"
        "Hint: check the observed values against the support of the likelihood, or give "
        "`initval=` to the variables that it depends on."
    )
