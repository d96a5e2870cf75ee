"""Simulation-based calibration: data from the prior, and whether their posteriors find it again."""

from __future__ import annotations

import warnings
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr
from pytensor.compile.mode import Mode
from pytensor.graph.basic import equal_computations

from bayou.arguments import whole_number
from bayou.cluster.ray import resolve_cluster
from bayou.errors import ConvergenceWarning, OtherDataError
from bayou.fitting.guides.named_guides import METHODS
from bayou.many.collect import fresh
from bayou.many.dispatch import outcomes_of
from bayou.many.fit_many import fit_many, fit_outcomes
from bayou.many.results.calibration import Calibration, place
from bayou.many.results.zarr_folder import made_with
from bayou.many.sample_many import nuts_outcomes, sample_many
from bayou.models.context import model_of
from bayou.nuts.sample import check_model, check_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.cluster.ray import Ray
    from bayou.many.results.outcome import Outcome

    type Posterior = Mapping[str, NDArray[Any]]

# Of the draws from a posterior: so far apart that they are nearly independent, as a rank asks for.
RANKED_DRAWS = 100


def calibrate(
    model: pm.Model | None = None,
    n: int = 1000,
    *,
    method: str = "nuts",
    simulator: pm.Model | None = None,
    draws: int = 1000,
    tune: int | None = None,
    chains: int | None = None,
    random_seed: int | None = None,
    cluster: str | Ray | None = None,
    out: str | Path | None = None,
) -> Calibration:
    """Tell whether inference on a model is right, on data that are simulated from it.

    Values are drawn from the prior, data from the likelihood at each, and the posterior of each
    data set is sampled, or approximated. Over many data sets, the values are spread in these
    posteriors as draws of them, if inference is right.

    Parameters
    ----------
    model : pymc.Model, optional
        The model, whose observed variables are observed at data containers; by default the one of
        the context. It keeps its own data.
    n : int, default 1000
        The number of data sets: the more, the smaller the errors that show.
    method : str, default "nuts"
        "nuts", or a method of :func:`bayou.fit`, of which it shows what it gets wrong.
    simulator : pymc.Model, optional
        The model that the data are simulated from, with variables of the same names; by default the
        same model.
    draws : int, default 1000
        The number of draws of each chain, or of each fit.
    tune, chains : int, optional
        Of "nuts" alone, as for :func:`bayou.sample`: by default 1000 and 4.
    random_seed : int, optional
        Decides all of it.
    cluster : str or Ray, optional
        Where the posteriors are computed, as for :func:`bayou.sample_many`; data are simulated in
        this process.
    out : path, optional
        A folder that the posteriors are written to, as for :func:`bayou.sample_many`: an
        interrupted calibration goes on where it was, and one with a larger `n` adds to it.

    Returns
    -------
    Calibration
        True if all variables are calibrated; prints a verdict for each free variable, has the
        values as ``pit`` and draws them by ``plot()``.

    Raises
    ------
    TypeError
        If there is no model, it cannot be sampled or simulated from, as a potential or a variable
        without a prior that can be drawn from, or observes something else than a container.
    ValueError
        If an argument is out of range, nothing is observed, the simulator has other variables,
        `out` is of another calibration, or each data set failed.
    FileExistsError
        If `out` is something else, or in use.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, no Ray here, or the cluster has no cores free.

    Notes
    -----
    Cook, Gelman and Rubin (2006); Talts et al. (2018). 100 draws of each posterior are ranked,
    evenly far apart. The test of uniformity is ArviZ's, corrected for the number of elements.

    Examples
    --------
    >>> with pm.Model():
    ...     y = by.Data("y", np.zeros(5), dims="row")
    ...     mu = pm.Normal("mu")
    ...     observed = pm.Normal("observed", mu, 1, observed=y, dims="row")
    ...     result = by.calibrate(n=40, draws=200, tune=200, random_seed=1)
    >>> bool(result)
    True
    """
    model = model_of(model)
    n = whole_number("n", n, 20, "200 data sets tell large errors, 1000 small ones.")
    if method not in ("nuts", *METHODS):
        raise ValueError(
            f"`method` must be 'nuts' or one of {METHODS}, got {method!r}.\n"
            'Hint: "nuts" tells whether the model and the data fit together.'
        )
    if method != "nuts" and not tune is chains is None:
        raise ValueError(
            f"`tune` and `chains` must come with method='nuts', got method={method!r}.\n"
            "Hint: leave them out; a fit has no chains."
        )
    tune, chains = 1000 if tune is None else tune, 4 if chains is None else chains
    check_settings(draws, tune, chains, random_seed)
    check_model(model)
    containers = _observed_containers(model)
    where = resolve_cluster(cluster)
    if random_seed is None:
        kept = None if out is None else made_with(out, "random_seed")
        drawn = np.random.SeedSequence().generate_state(1, np.uint64)[0]
        random_seed = int(drawn if kept is None else kept)
    sequence = np.random.SeedSequence(random_seed)
    simulation_seed, place_seed = (int(word) for word in sequence.generate_state(2))
    simulated = _simulated(model, simulator, n, simulation_seed)
    data_sets = {
        key: {containers[name]: simulated[name][key] for name in containers} for key in range(n)
    }
    common: dict[str, Any] = {"draws": draws}
    if method == "nuts":
        common |= {"tune": tune, "chains": chains}
    else:
        common |= {"n": "auto", "method": method}
    if out is None:
        run = partial(
            nuts_outcomes if method == "nuts" else fit_outcomes, entropy=random_seed, **common
        )
        pairs = fresh(data_sets.items(), None, model)
        found = _passing(outcomes_of(run, model, pairs, where, n))
    else:
        many = sample_many if method == "nuts" else fit_many
        common |= {"model": model, "random_seed": random_seed, "progressbar": False}
        # As without a folder, whatever the number of simulations.
        common |= {"sampler": "nutpie"} if method == "nuts" else {}
        common |= {"cluster": where, "out": out}
        found = _kept(_into_folder(partial(many, data_sets, **common)), n)
    names = [variable.name for variable in model.free_RVs]
    places: dict[str, list[Any]] = {name: [] for name in names}
    keys, errors = [], {}
    with closing(found):
        for key, posterior in found:
            if isinstance(posterior, str):
                errors[key] = posterior
                continue
            keys.append(key)
            generator = np.random.default_rng([place_seed, key])
            for name in names:
                draws_apart = _apart(posterior[name])
                places[name].append(place(simulated[name][key], draws_apart, generator))
    if not keys:
        raise ValueError(f"Each of the {n} data sets failed, the first with:\n{errors[0]}")
    return Calibration(_dataset(model, keys, places), method, errors)


def _into_folder(run: Callable[[], xr.DataTree]) -> xr.DataTree:
    """Run many data sets into a folder, and tell of what happens as of a calibration."""
    with warnings.catch_warnings():
        # The calibration says which.
        warnings.filterwarnings("ignore", ".* data sets failed", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return run()
        except OtherDataError as error:
            # It has no keys of the user's.
            raise ValueError(
                "`out` must hold a calibration of the same `simulator`, `model` and their data, "
                "got one on other simulated data.\n"
                "Hint: pass another path, or what it was begun with."
            ) from error


def _passing(outcomes: Iterable[Outcome]) -> Generator[tuple[int, Posterior | str]]:
    """Yield posteriors of data sets as they come, or why there is none; none are kept."""
    for outcome in outcomes:
        yield int(outcome.key), outcome.error or outcome.groups["posterior"]


def _kept(tree: xr.DataTree, n: int) -> Generator[tuple[int, Posterior | str]]:
    """Yield posteriors of the first data sets of a tree, or why there is none."""
    errors = tree["diagnostics"]["error"].to_series()
    posterior = tree["posterior"].to_dataset()
    for key in range(n):
        if errors[key]:
            yield key, errors[key]
        else:
            one = posterior.sel(dataset=key)
            yield key, {str(name): array.values for name, array in one.items()}


def _observed_containers(model: pm.Model) -> dict[str, str]:
    """Return the container that each observed variable is observed at, by their names."""
    if not model.observed_RVs:
        raise ValueError(
            "`model` must observe something, got a model without observed variables.\n"
            "Hint: pass `observed=` a data container."
        )
    found: dict[str, str] = {}
    for variable in model.observed_RVs:
        value = model.rvs_to_values[variable]
        held = [container for container in model.root.data_vars if _is_cast(value, container)]
        if not held:
            raise TypeError(
                f"`model` must observe each variable at a data container, got {variable.name!r} "
                f"observed at {value}.\n"
                "Hint: write `y = by.Data('y', values)` and `observed=y`, which simulated data can "
                "take the place of."
            )
        if held[0].name in found.values():
            raise TypeError(
                f"`model` must observe each variable at a container of its own, got "
                f"{held[0].name!r} for two.\nHint: make a container for each."
            )
        found[variable.name] = held[0].name
    return found


def _is_cast(value: Variable, container: Variable) -> bool:
    """Tell whether a value is a container, or one in another dtype."""
    tensor: Any = container
    return value is container or equal_computations([value], [tensor.astype(value.type.dtype)])


def _simulated(
    model: pm.Model, simulator: pm.Model | None, n: int, seed: int
) -> Mapping[str, NDArray[Any]]:
    """Draw the free and the observed variables of a model together, n times."""
    argument = "model" if simulator is None else "simulator"
    simulator = model if simulator is None else simulator
    if not isinstance(simulator, pm.Model):
        raise TypeError(
            f"`simulator` must be a pymc.Model, got a {type(simulator).__name__}.\n"
            "Hint: write what the data come from as a model with the same variables."
        )
    if simulator.potentials:
        raise TypeError(
            f"`{argument}` must be drawn from by its variables alone, got the potential "
            f"{simulator.potentials[0].name!r}, which no draw from the prior heeds.\n"
            "Hint: write it as a distribution, such as pm.CustomDist with `dist=`; or pass, as "
            "`simulator`, a model without it that has the same prior and likelihood."
        )
    wanted = [variable.name for variable in (*model.free_RVs, *model.observed_RVs)]
    its = [variable.name for variable in simulator.basic_RVs]
    lacking = [name for name in wanted if name not in its]
    if lacking:
        raise ValueError(
            f"`simulator` must have the variables of the model, got one without {lacking}.\n"
            "Hint: name the free and the observed variables alike in both models."
        )
    try:
        values = _drawn([simulator[name] for name in wanted], n, seed)
    except NotImplementedError as error:
        name = _not_drawn(simulator)
        if name is None:
            raise
        raise TypeError(
            f"`{argument}` must have a distribution to draw each variable from, got {name!r}, "
            "which cannot be drawn.\n"
            "Hint: give it a proper prior instead of pm.Flat or pm.HalfFlat, a pm.CustomDist "
            "`random=` or `dist=`; or pass, as `simulator`, a model that has one."
        ) from error
    return dict(zip(wanted, values, strict=True))


def _drawn(variables: Sequence[Any], n: int, seed: int) -> Sequence[NDArray[Any]]:
    # Too little work to pay a compiler for.
    found: Sequence[NDArray[Any]] = pm.draw(
        variables, draws=n, mode=Mode("py", "fast_compile"), random_seed=seed
    )
    return found


def _not_drawn(simulator: pm.Model) -> str | None:
    """Return the name of the first variable that cannot be drawn, given those before it."""
    for variable in simulator.basic_RVs:
        try:
            _drawn([variable], 1, 0)
        except NotImplementedError:
            return str(variable.name)
    return None


def _apart(draws: NDArray[Any]) -> NDArray[Any]:
    """Return draws that are far apart, shape (num_draws, ...), of (chains, draws, ...)."""
    flat = draws.reshape(-1, *draws.shape[2:])
    chosen = np.linspace(0, len(flat) - 1, min(len(flat), RANKED_DRAWS)).astype(int)
    return np.take(flat, chosen, axis=0)


def _dataset(
    model: pm.Model, keys: list[int], places: Mapping[str, list[NDArray[Any]]]
) -> xr.Dataset:
    variables = {}
    for name, found in places.items():
        array = np.stack(found)
        dims = model.named_vars_to_dims.get(name) or [None] * (array.ndim - 1)
        own = (dim or f"{name}_dim_{axis}" for axis, dim in enumerate(dims))
        variables[name] = xr.Variable(("dataset", *own), array)
    lengths = {dim: n for found in variables.values() for dim, n in found.sizes.items()}
    coords = {
        dim: list(labels)
        for dim, labels in model.coords.items()
        if labels is not None and lengths.get(dim) == len(labels)
    }
    return xr.Dataset(variables, {"dataset": keys, **coords})
