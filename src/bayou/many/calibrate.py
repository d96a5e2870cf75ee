"""`by.calibrate`: simulation-based calibration, on data sets drawn from a model itself."""

from __future__ import annotations

import warnings
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.arguments import check_progressbar, new_seed, whole_number
from bayou.cluster.ray import resolve_cluster
from bayou.compression.compress_option import check_compress
from bayou.errors import ConvergenceWarning, OtherDataError, warn
from bayou.fitting.guides.named_guides import METHODS
from bayou.many.data_sets.by_key import DataSets
from bayou.many.data_sets.pending import pending_data_sets
from bayou.many.dispatch import dispatch
from bayou.many.fit_many import fit_many, fit_outcomes
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.many.results.calibration import Calibration, pit_values
from bayou.many.results.outcome import Failure
from bayou.many.results.zarr_folder import recorded_setting
from bayou.many.sample_many import sample_many
from bayou.many.simulation import observed_containers, simulate, with_observed_containers
from bayou.models.plain.plain_model import read_model
from bayou.nuts.model_checks import check_model
from bayou.nuts.settings import NutsSettings, nuts_seed
from bayou.progress import data_set_progress
from bayou.storage.storable_labels import storable_labels

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.arguments import RandomSeed
    from bayou.cluster.ray import Ray
    from bayou.containers.context import ModelLike
    from bayou.many.data_sets.pending import Pending
    from bayou.many.dispatch import Run
    from bayou.models.posterior_tree import NamedArrays

    type Posteriors = Generator[tuple[int, NamedArrays | Failure]]

# The method of `by.fit` that is its default, by the name of the verb.
FIT = "fit"
# Fewer data sets show no error of a posterior.
LEAST_NUMBER = 20
# Draws of a posterior that a parameter is ranked among. Ranks are uniform for independent draws:
# 100 of thousands are far enough apart to be nearly so (Talts et al. 2018).
NUM_RANKED_DRAWS = 100


def calibrate(
    model: ModelLike | None = None,
    num_datasets: int | None = None,
    *,
    method: str = "nuts",
    simulator: ModelLike | None = None,
    draws: int = 1000,
    tune: int | None = None,
    chains: int | None = None,
    compress: bool | str = "auto",
    random_seed: RandomSeed | None = None,
    cluster: str | Ray | None = None,
    out: str | Path | None = None,
    progressbar: bool = True,
    n: int | None = None,
) -> Calibration:
    """Check by simulation whether the computed posteriors of a model are right.

    Parameters are drawn from the prior. For each such draw, a data set is drawn from the
    likelihood, and the posterior given that data set is sampled or fitted. If inference is right,
    the rank of the true parameter among its posterior draws is uniform over the data sets.

    Parameters
    ----------
    model : pymc.Model or model of a library, optional
        The model; by default the model of the context. Each of its observed variables must have an
        array, or a data container of its own, as ``observed=``. The data of the model do not
        change.
    num_datasets : int, default 1000
        Number of simulated data sets, at least 20. With 200, only large errors are visible; with
        1000, small ones are too.
    method : str, default "nuts"
        "nuts" samples by :func:`bayou.sample_many`. "fit" fits by :func:`bayou.fit` with its
        default method. Pass the name of a method of :func:`bayou.fit` to see the errors of that
        approximation.
    simulator : pymc.Model or model of a library, optional
        A model to draw parameters and data from, with variables of the same names; by default the
        same model.
    draws : int, default 1000
        Draws of each chain, or from each fit.
    tune, chains : int, optional
        Number of tuning steps and of chains, with "nuts" only; by default 1000 and 4.
    compress : {"auto", True, False}, default "auto"
        Evaluate the density of a data set on its distinct rows, as for :func:`bayou.sample_many`.
    random_seed : int, sequence of int, numpy.random.Generator, RandomState or None
        Seed of the simulation and of inference. By default, the seed of an existing `out`, else a
        new one at each call.
    cluster : str or Ray, optional
        Where posteriors are computed, as for :func:`bayou.sample_many`. Data are simulated in this
        process.
    out : path, optional
        A Zarr folder for the posteriors, as for :func:`bayou.sample_many`. If it exists, an
        interrupted calibration continues, and a larger `num_datasets` adds data sets to it.
    progressbar : bool, default True
        Show how many data sets are done, and how many have failed.
    n : int, optional
        The earlier name of `num_datasets`.

    Returns
    -------
    Calibration
        ``bool(result)`` is True if all variables are calibrated. Its text has a verdict for each
        free variable. ``pit`` has the ranks, scaled to between 0 and 1, and ``plot()`` draws them.
        After Ctrl-C, the result covers the data sets that are done, if there are at least 20.

    Raises
    ------
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, Ray is not installed, or the cluster has no free
        cores.
    FileExistsError
        If `out` exists and is not such a folder, or another process writes to it.
    TypeError
        If there is no model, it cannot be sampled, or it cannot be simulated from: it has a
        potential, a variable without a distribution to draw from, or observed values that are not
        in a container; or if `num_datasets` and `n` are both passed.
    ValueError
        If an argument is out of range, nothing is observed, the simulator lacks a variable, `out`
        holds another calibration, or inference failed on all data sets.

    Warns
    -----
    FutureWarning
        If `n` is passed.
    UserWarning
        If Ctrl-C stopped the call. The warning says how many data sets are done.

    Notes
    -----
    Simulation-based calibration: Cook, Gelman and Rubin (2006); Talts et al. (2018). The rank is
    computed among 100 draws of a posterior, evenly spaced over its chains so that they are nearly
    independent. Weights of rows are not supported, because no data can be drawn for a row that
    counts several times. Give each observation its own row; `compress` then counts equal rows. The
    test of uniformity is ArviZ's, corrected for the number of elements of all variables together:
    if inference is right, at most 1% of calibrations fail.

    Examples
    --------
    >>> with pm.Model():
    ...     y = by.Data("y", np.zeros(5), dims="row")
    ...     mu = pm.Normal("mu")
    ...     observed = pm.Normal("observed", mu, 1, observed=y, dims="row")
    ...     options = {"draws": 200, "tune": 200, "random_seed": 1, "progressbar": False}
    ...     result = by.calibrate(num_datasets=40, **options)
    >>> bool(result)
    True
    """
    check_progressbar(progressbar)
    pymc_model = with_observed_containers(read_model(model))
    simulating_model = None if simulator is None else read_model(simulator)
    num_datasets = _number_of(num_datasets, n)
    settings = _check_method(method, draws, tune, chains)
    check_compress(compress)
    method = METHODS[0] if method == FIT else method
    check_model(pymc_model)
    containers = observed_containers(pymc_model)
    workers = resolve_cluster(cluster)
    seed = nuts_seed(random_seed)
    if seed is None and out is not None:
        seed = recorded_setting(out, "random_seed")
    if seed is None:
        seed = new_seed()
    simulation_seed, rank_seed = map(int, np.random.SeedSequence(seed).generate_state(2))
    simulated = simulate(pymc_model, simulating_model, num_datasets, simulation_seed)
    datasets = {
        key: {container: simulated[name][key] for name, container in containers.items()}
        for key in range(num_datasets)
    }
    if out is None:
        run: Run = partial(
            fit_outcomes, n="auto", method=method, draws=settings.draws, compress=compress
        )
        if method == "nuts":
            run = partial(nutpie_outcomes, settings=settings, compress=compress)
        pending = pending_data_sets(pymc_model, DataSets(datasets.items(), num_datasets), seed)
        posteriors = _stream(run, pymc_model, pending, workers, num_datasets, progressbar)
    else:
        options = {"model": pymc_model, "random_seed": seed, "cluster": workers, "out": out}
        options["compress"] = compress
        options["progressbar"] = progressbar
        posteriors = _from_folder(datasets, method, settings, options)
    names = [str(variable.name) for variable in pymc_model.free_RVs]
    pit: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    keys: list[int] = []
    errors: dict[int, str] = {}
    with closing(posteriors), _stopped_by_keyboard(keys, num_datasets, out):
        for key, posterior in posteriors:
            if isinstance(posterior, Failure):
                errors[key] = str(posterior)
                continue
            generator = np.random.default_rng([rank_seed, key])
            for name in names:
                ranked = _spaced_draws(posterior[name])
                pit[name].append(pit_values(simulated[name][key], ranked, generator))
            keys.append(key)
    if not keys:
        raise ValueError(
            f"Each of the {num_datasets} data sets failed, the first with:\n{errors[0]}"
        )
    return Calibration(_pit_dataset(pymc_model, keys, pit), method, errors)


@contextmanager
def _stopped_by_keyboard(keys: list[int], number: int, out: str | Path | None) -> Iterator[None]:
    """Turn Ctrl-C into a warning, if enough data sets are done by then."""
    try:
        yield
    except KeyboardInterrupt:
        if len(keys) < LEAST_NUMBER:
            raise
        hint = "call again with the same `out` to continue from there."
        if out is None:
            hint = "pass `out` to keep posteriors in a folder, from which the same call continues."
        warn(
            f"The keyboard stopped the call after {len(keys)} of {number} data sets.\nHint: {hint}"
        )


def _number_of(num_datasets: int | None, n: int | None) -> int:
    """Return the number of data sets, by its present name or by the earlier one."""
    if n is not None:
        if num_datasets is not None:
            raise TypeError(
                f"`num_datasets` must come without `n`, its earlier name, got {num_datasets!r} and "
                f"{n!r}.\nHint: leave `n` out."
            )
        warn(
            f"`n` of by.calibrate is now called `num_datasets`, got n={n!r}.\n"
            f"Hint: write num_datasets={n!r}.",
            FutureWarning,
        )
    number = next((value for value in (num_datasets, n) if value is not None), 1000)
    hint = "200 data sets show large errors, 1000 show small ones."
    return whole_number("num_datasets", number, LEAST_NUMBER, hint)


def _check_method(method: str, draws: int, tune: int | None, chains: int | None) -> NutsSettings:
    """Check the method and the settings that go with it, and return these; a fit uses `draws`."""
    if method not in ("nuts", FIT, *METHODS):
        raise ValueError(
            f"`method` must be 'nuts', 'fit' or one of {METHODS}, got {method!r}.\n"
            'Hint: "nuts" shows whether the model and the data fit together.'
        )
    if method != "nuts" and not tune is chains is None:
        raise ValueError(
            f"`tune` and `chains` must come with method='nuts', got method={method!r}.\n"
            "Hint: leave them out; a fit has no chains."
        )
    return NutsSettings(draws, 1000 if tune is None else tune, 4 if chains is None else chains)


def _stream(
    run: Run,
    model: pm.Model,
    pending: Iterator[Pending],
    workers: Ray | None,
    number: int,
    progressbar: bool,
) -> Posteriors:
    """Yield the posteriors of data sets as they are finished, keeping none of them."""
    bar = data_set_progress(number, 0, progressbar)
    with closing(dispatch(run, model, pending, workers, number)) as outcomes, bar as advance:
        for outcome in outcomes:
            advance(outcome.failure is not None)
            yield int(outcome.key), outcome.failure or outcome.groups["posterior"]


def _from_folder(
    datasets: Mapping[int, object], method: str, settings: NutsSettings, options: dict[str, Any]
) -> Posteriors:
    """Add the posteriors that a folder lacks to it, and yield those of all data sets."""
    with warnings.catch_warnings():
        # The calibration has the failed ones, and its verdict is about the others.
        warnings.filterwarnings("ignore", ".* data sets failed", UserWarning)
        warnings.filterwarnings("ignore", "The keyboard stopped", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        options |= {"draws": settings.draws}
        try:
            if method == "nuts":
                # The sampler that runs without a folder, whatever the number of data sets.
                options |= {"tune": settings.tune, "chains": settings.chains, "sampler": "nutpie"}
                tree = sample_many(datasets, **options)
            else:
                tree = fit_many(datasets, method=method, **options)
        except OtherDataError as error:
            # The keys in its message mean nothing to the user of a calibration.
            raise ValueError(
                "`out` must hold a calibration of the same `simulator`, `model` and their data, "
                "got one on other simulated data.\n"
                "Hint: pass another path, or the models that it was begun with."
            ) from error
    return _read_posteriors(tree, len(datasets))


def _read_posteriors(tree: xr.DataTree, number: int) -> Posteriors:
    """Yield the posteriors of the first data sets of a tree.

    Raises
    ------
    KeyboardInterrupt
        At the end, if data sets are missing: Ctrl-C has stopped the call that the tree is of.
    """
    errors = tree["diagnostics"]["error"].to_series()
    posterior = tree["posterior"].to_dataset()
    for key in range(number):
        if key not in errors.index:
            continue
        if errors[key]:
            yield key, Failure.parse(errors[key])
        else:
            draws = posterior.sel(dataset=key)
            yield key, {str(name): array.values for name, array in draws.items()}
    if len(errors) < number:
        raise KeyboardInterrupt


def _spaced_draws[Number: np.generic](draws: NDArray[Number]) -> NDArray[Number]:
    """Return evenly spaced draws, (number, ...), of all chains together, (chains, draws, ...)."""
    flat = draws.reshape(-1, *draws.shape[2:])
    chosen = np.linspace(0, len(flat) - 1, min(len(flat), NUM_RANKED_DRAWS)).astype(int)
    return np.take(flat, chosen, axis=0)


def _pit_dataset(
    model: pm.Model, keys: list[int], pit: Mapping[str, list[NDArray[np.float64]]]
) -> xr.Dataset:
    """Return the values of each variable with the dim "dataset", and its dims in the model."""
    variables = {}
    for name, values in pit.items():
        array = np.stack(values)
        dims = model.named_vars_to_dims.get(name) or [None] * (array.ndim - 1)
        names = (dim or f"{name}_dim_{axis}" for axis, dim in enumerate(dims))
        variables[name] = xr.Variable(("dataset", *names), array)
    lengths = {dim: n for variable in variables.values() for dim, n in variable.sizes.items()}
    coords = {
        dim: storable_labels(labels)
        for dim, labels in model.coords.items()
        if labels is not None and lengths.get(dim) == len(labels)
    }
    return xr.Dataset(variables, {"dataset": keys, **coords})
