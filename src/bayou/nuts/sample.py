"""NUTS on all of the data, through nutpie: a model is compiled once, new data compile nothing."""

from __future__ import annotations

import itertools
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pytensor.graph.traversal import ancestors

from bayou.batching.data_checks import check_imputed
from bayou.cluster.cores import usable_cores
from bayou.containers.variables.source_variable import check_complete
from bayou.models.context import model_of
from bayou.models.inputs import depends_on_generator
from bayou.models.posterior_tree import posterior_tree
from bayou.models.total_size import minibatch_scales
from bayou.nuts.compiled_density import can_start, compiled_density, held_of, term_densities
from bayou.provenance.model_provenance import provenance_of
from bayou.provenance.record import ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray
    from nutpie.compile_pymc import CompiledPyMCModel

    from bayou.containers.variables.dims import ContainerArrays
    from bayou.nuts.compiled_density import CompiledDensity, Outputs

# What nutpie says of a draw, under ArviZ's names.
_STATISTICS = {
    "logp": "lp",
    "energy": "energy",
    "energy_error": "energy_error",
    "max_energy_error": "max_energy_error",
    "diverging": "diverging",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "n_steps": "n_steps",
    "index_in_trajectory": "index_in_trajectory",
    "step_size": "step_size",
    "step_size_bar": "step_size_bar",
    "mean_tree_accept": "acceptance_rate",
}

# What ArviZ reads of what a sampler says.
STATISTICS = (
    "lp",
    "energy",
    "diverging",
    "tree_depth",
    "reached_max_treedepth",
    "n_steps",
    "acceptance_rate",
)


def sample(
    draws: int = 1000,
    *,
    tune: int = 1000,
    chains: int = 4,
    model: pm.Model | None = None,
    random_seed: int | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a model with NUTS, given all of its data.

    The first call on a model compiles it. Later calls compile nothing, whatever the values and the
    lengths of the data are by then, until variables are added to the model. Minibatches are
    replaced by the data that they draw from.

    Parameters
    ----------
    draws : int, default 1000
        The number of draws of each chain.
    tune : int, default 1000
        The number of steps before them that adapt the sampler and are thrown away. The sampler
        needs one to find its step size: 0 runs one.
    chains : int, default 4
        The number of chains; as many run at once as there are processors.
    model : pymc.Model, optional
        The model; by default the one of the context.
    random_seed : int, optional
        Decides the starting points and the draws: same seed, same data, same draws.
    progressbar : bool, default True
        Show the progress of the chains.

    Returns
    -------
    xarray.DataTree
        As ArviZ reads it, with the dims and coords that the model has now: ``posterior`` with the
        free variables and the deterministics, ``sample_stats``, ``observed_data`` and
        ``constant_data``. After an interruption, the draws that all of the chains have finished.

    Raises
    ------
    TypeError
        If there is no model, a free variable or a missing value is discrete, or the density draws
        random numbers.
    ValueError
        If an argument is out of range, the model has no free variable, computes with missing
        values, is fed by a generator or by a part of its rows, or its density is not finite where
        the chains start.

    Notes
    -----
    Brings back the loop over data sets of PyMC3's Data. The sampler is nutpie's, the No-U-Turn
    sampler of Hoffman and Gelman (2014) with a mass matrix from draws and gradients.

    Examples
    --------
    >>> data_sets = [np.random.default_rng(0).normal(mean, 1, size=500) for mean in (1, 2, 3)]
    >>> with pm.Model():
    ...     data = by.Data("data", data_sets[0])
    ...     mu = pm.Normal("mu", 0, 10)
    ...     y = pm.Normal("y", mu, 1, observed=data)
    ...     for values in data_sets:
    ...         by.set_data({"data": values})
    ...         trace = by.sample(random_seed=1, progressbar=False)
    ...         print(round(float(trace.posterior["mu"].mean())))
    1
    2
    3
    """
    model = model_of(model)
    check_settings(draws, tune, chains, random_seed)
    check_model(model)
    density = compiled_density(model)
    bound, outputs = started(model, density)
    begin = time.perf_counter()
    try:
        trace = run_chains(bound, draws, tune, chains, random_seed, progressbar=progressbar)
    except RuntimeError as error:
        raise told(error, model, density) from None
    flat, statistics = unpack(trace, outputs.size)
    attrs = attrs_of(tune) | {"sampling_time": time.perf_counter() - begin}
    return posterior_tree(
        model,
        outputs.split(flat),
        sample_stats=statistics,
        attrs=attrs,
        posterior_attrs={ATTRIBUTE: provenance_of(model).to_json()},
    )


def check_settings(draws: Any, tune: Any, chains: Any, random_seed: Any) -> None:
    """Refuse settings of NUTS that are out of range."""
    _check_at_least("draws", draws, 1)
    _check_at_least("tune", tune, 0)
    _check_at_least("chains", chains, 1)
    _check_seed(random_seed)


def check_model(model: pm.Model) -> None:
    """Refuse models that NUTS cannot sample from."""
    check_imputed(model)
    _check_free_variables(model)
    _check_rows(model)


def run_chains(
    bound: CompiledPyMCModel,
    draws: int,
    tune: int,
    chains: int,
    random_seed: int | None,
    *,
    progressbar: bool = False,
    blocking: bool = True,
) -> Any:
    """Return nutpie's trace; or its sampler, which has begun, if that is not to be waited for."""
    # Importing nutpie imports ArviZ's plots, for which only those who sample should wait.
    import nutpie

    return nutpie.sample(
        bound,
        draws=int(draws),
        tune=max(int(tune), 1),
        chains=int(chains),
        cores=min(int(chains), usable_cores()),
        seed=None if random_seed is None else int(random_seed),
        progress_bar=progressbar,
        return_raw_trace=True,
        blocking=blocking,
    )


def attrs_of(tune: int, library: str = "nutpie") -> dict[str, Any]:
    """Return what is kept with draws of how they were made."""
    return {
        "inference_library": library,
        "inference_library_version": version(library),
        "tuning_steps": int(tune),
    }


def unpack(
    trace: Any, size: int, names: Iterable[str] = tuple(_STATISTICS.values())
) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """Read nutpie's Arrow batches, one a chain: draws after tuning, and what is said of them."""
    draws, statistics = (
        [pa.record_batch(batch) for batch in batches] for batches in trace.get_arrow_trace()
    )
    tuned = [_array(batch["tuning"]).sum() for batch in statistics]
    finished = min(len(batch) - count for batch, count in zip(statistics, tuned, strict=True))
    if finished == 0:
        raise KeyboardInterrupt("Interrupted before each chain had a draw.")

    def stack(batches: list[Any], name: str, *shape: int) -> NDArray[Any]:
        columns = [
            batch[name].slice(count, finished) for batch, count in zip(batches, tuned, strict=True)
        ]
        return np.stack(
            [
                _array(column.flatten() if shape else column).reshape(-1, *shape)
                for column in columns
            ]
        )

    return (
        stack(draws, "draws", size),
        {ours: stack(statistics, theirs) for theirs, ours in _STATISTICS.items() if ours in names},
    )


def _array(column: Any) -> NDArray[Any]:
    return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _check_at_least(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(
            f"`{name}` must be a whole number of at least {least}, got {value!r}.\n"
            "Hint: 1000 draws after 1000 tuning steps in 4 chains suit most models."
        )


def _check_seed(seed: Any) -> None:
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if seed is not None and not (whole and 0 <= seed < 2**64):
        raise ValueError(
            f"`random_seed` must be None or a whole number from 0 to 2**64 - 1, got {seed!r}.\n"
            "Hint: pass a number, and the same one for the same draws."
        )


def _check_free_variables(model: pm.Model) -> None:
    if not model.free_RVs:
        raise ValueError(
            "`model` must have a free variable to sample, got none.\n"
            "Hint: give a prior to at least one variable that is not observed."
        )
    discrete = [variable.name for variable in model.free_RVs if "float" not in variable.dtype]
    if discrete:
        raise TypeError(
            f"`model` must have continuous free variables alone, got discrete {discrete}.\n"
            "Hint: sum discrete variables out (pymc_extras.marginalize), or use pm.sample."
        )


def _check_rows(model: pm.Model) -> None:
    """Refuse models that do not hold all of their rows: NUTS would take the rest for not there."""
    graphs = {
        variable.name: (variable, model.rvs_to_values.get(variable, variable))
        for variable in model.named_vars.values()
    }
    if depends_on_generator(*itertools.chain.from_iterable(graphs.values())):
        generated = [name for name, graph in graphs.items() if depends_on_generator(*graph)]
        raise ValueError(
            f"`model` must hold all of its rows, got {generated}, fed by a generator.\n"
            "Hint: use by.fit, or put the rows into a by.Data."
        )
    check_complete(ancestors([part for graph in graphs.values() for part in graph]))
    for name, scale in minibatch_scales(model).items():
        if not np.isclose(scale, 1):
            raise ValueError(
                f"`total_size` of {name!r} must be the number of its rows in memory, got "
                f"{scale:g} times as many.\n"
                "Hint: keep all rows in memory for NUTS, or use by.fit."
            )


def started(
    model: pm.Model, density: CompiledDensity, arrays: ContainerArrays | None = None
) -> tuple[CompiledPyMCModel, Outputs]:
    """Bind a density to data, or refuse those at which no chain can start."""
    bound, outputs = density.bind(arrays)
    if not can_start(bound):
        raise start_error(model, density.start, arrays)
    return bound, outputs


def told(
    error: RuntimeError,
    model: pm.Model,
    density: CompiledDensity,
    arrays: ContainerArrays | None = None,
) -> Exception:
    """Return what to say of an error of nutpie's."""
    return start_error(model, density.start, arrays) if "initialization" in str(error) else error


def start_error(
    model: pm.Model, start: Callable[..., list[NDArray[Any]]], arrays: ContainerArrays | None
) -> ValueError:
    """Return what to say where no chain can start; `start` gives starting points by a seed."""
    terms = term_densities(model, start(0, held_of(arrays or {})), arrays)
    at_fault = [f"{value} from {name!r}" for name, value in terms.items() if not np.isfinite(value)]
    found = ", ".join(at_fault) or "a gradient that is not finite"
    return ValueError(
        f"The log density must be finite where the chains start, got {found}.\n"
        "Hint: check the observed values against the support of the likelihood, or give "
        "`initval=` to the variables that it depends on."
    )
