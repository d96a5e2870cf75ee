"""`by.sample`: NUTS on all rows of a model, through nutpie.

``settings`` and ``model_checks`` check what is asked for. ``compiled_density`` compiles the log
density, once for data of any length, by the Numba code of ``numba_code``. ``chains`` runs nutpie on
it, and ``trace`` reads the draws.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from bayou.arguments import check_flag, check_progressbar, new_seed
from bayou.compression.compress_option import choose_compression
from bayou.compression.weighted_model import weighted_model
from bayou.containers.context import takes_model_first
from bayou.containers.data_access import reading_data
from bayou.errors import ConvergenceWarning, warn, warning_of_failure
from bayou.feeding.memory import check_draws
from bayou.models.plain.plain_model import read_model
from bayou.models.posterior_tree import posterior_tree
from bayou.nuts.chains import bind_data, chain_seeds, explain_failure, lanes_of, run_chains
from bayou.nuts.chosen_variables import chosen_variables
from bayou.nuts.compiled.compiled_density import compiled_density
from bayou.nuts.compiled.density_graphs import check_backend
from bayou.nuts.compiled.log_likelihood import log_likelihood as pointwise_log_likelihood
from bayou.nuts.compiled.log_likelihood import num_observations
from bayou.nuts.convergence.chain_doubts import warn_of_doubts
from bayou.nuts.disk.draw_store import DrawStore, open_draw_store, recorded_seed
from bayou.nuts.disk_run import (
    DiskRun,
    check_disk_options,
    draw_to_disk,
    recorded_settings,
)
from bayou.nuts.enough_draws import EnoughDraws, check_until
from bayou.nuts.model_checks import check_model
from bayou.nuts.settings import DEFAULT_TUNE, NutsSettings, nuts_seed
from bayou.nuts.start_values import chain_starts, with_start_of_each
from bayou.nuts.trace import ChainBatches, sampler_attrs
from bayou.nuts.warm_start import check_init, choose_warm_start
from bayou.provenance.model_provenance import provenance_for_result
from bayou.provenance.record import provenance_attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pymc as pm
    import xarray as xr

    from bayou.arguments import RandomSeed
    from bayou.containers.context import ModelLike
    from bayou.containers.variables.dims import Numbers
    from bayou.fitting.result.fit_result import Fit
    from bayou.nuts.compiled.bound_density import DrawLayout
    from bayou.nuts.start_values import InitialValues


@takes_model_first
def sample(
    draws: int | None = None,
    *,
    tune: int | None = None,
    chains: int = 4,
    model: ModelLike | None = None,
    init: Fit | str | None = "auto",
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    adaptation: str = "diag",
    backend: str = "auto",
    initvals: InitialValues | None = None,
    until: str | None = None,
    var_names: Sequence[str] | None = None,
    keep_warmup: bool = False,
    log_likelihood: bool = False,
    compute_convergence_checks: bool = True,
    weights: str | None = None,
    compress: bool | str = "auto",
    cores: int | None = None,
    random_seed: RandomSeed | None = None,
    progressbar: bool = True,
    out: str | Path | None = None,
    resume: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a model with NUTS, given all of its data.

    The model may also be the first argument: ``by.sample(model, draws=500)``.

    The first call on a model compiles it. Later calls reuse the compiled code, even if the data
    have new values or lengths, unless variables were added to the model. Minibatches are replaced
    by all rows of their data.

    Parameters
    ----------
    draws : int, optional
        Draws of each chain; by default 1000. With `until`, the maximum number, by default 10,000.
    tune : int, optional
        Tuning steps of each chain. They adapt the step size and the mass matrix, and are discarded.
        By default 150 if the chains run in the coordinates of a fit (see `init`), else 1000. With
        0, one step is still run, to find the step size.
    chains : int, default 4
        The number of chains. As many run in parallel as there are cores.
    model : pymc.Model or model of a library, optional
        The model; by default the model of the context. Its free variables must be continuous.

    **How trajectories are made**

    init : {"auto"}, Fit or None, default "auto"
        Where chains start, and the coordinates in which they run. "auto" takes both from a short
        fit on fixed draws, if the run has at least 2,000 steps in all, and the model has more than
        one element or 1,000 numbers of data. A :class:`bayou.Fit` of the model is used without a
        new fit. Chains then start around the fit, spread twice as wide as the posterior, and their
        trajectories are short. The fit does not change the distribution of the draws, which is the
        posterior of the model. With None, chains start at random around the initial point of the
        model, and are tuned from there. The same is done if the fit does not match the posterior,
        or if searches from other starting points find other modes. The attributes ``init`` and
        ``init_reason`` of the result say what was done.
    target_accept : float, default 0.8
        The mean acceptance probability that tuning aims at, between 0 and 1. A larger one gives
        smaller steps, and fewer divergences.
    max_treedepth : int, default 10
        A trajectory ends after at most ``2**max_treedepth`` steps.
    adaptation : {"diag", "low_rank"}, default "diag"
        The mass matrix that tuning finds: "diag" scales each variable; "low_rank" adds the
        directions in which variables are correlated the most.
    backend : {"auto", "numba", "jax"}, default "auto"
        The compiler of the density. Numba takes 5 to 10 s once, whatever the lengths of later data,
        and suits densities that are cheap to compute. JAX takes a second for each new set of
        shapes, and computes several chains in one call. "auto" takes JAX for more than 20,000
        numbers in the data and for products of matrices, if JAX has all operations of the model.
        The attribute ``backend`` of the result says which.
    initvals : dict, or sequence of dict, optional
        Starting values of chains: one dict for all chains, or one for each. Keys are names of free
        variables, or of transformed ones, such as ``sigma_log__``, whose values are then
        transformed too. A value is an array, "prior" or "support_point". Each start is then moved
        at random, by at most 1 on the transformed scale, as in PyMC. Variables without a value
        start at the initial value that the model has for them.

    **When chains end**

    until : {"good"}, optional
        "good": chains end once R-hat is below 1.01 and the effective sample sizes, of the bulk and
        of the tails, are above 400 (100 a chain, of more than four) in all elements of all free
        variables. They are computed after 250 draws of each chain, and again each time the number
        of draws has grown by half, so that the number of draws depends on the seed alone.

    **What the result has**

    var_names : sequence of str, optional
        The free variables and deterministics to keep; by default all. The checks of convergence
        always cover all free variables.
    keep_warmup : bool, default False
        Add the groups ``warmup_posterior`` and ``warmup_sample_stats``, with the tuning steps.
    log_likelihood : bool, default False
        Add the group ``log_likelihood`` for ``arviz.loo``: the log likelihood of each observation.
        With `weights`, it is that of each row times its weight; :func:`bayou.expand` then gives
        that of each observation.
    compute_convergence_checks : bool, default True
        Check the chains, and warn if they are doubtful. See Warns.

    **The run**

    weights : str, optional
        A container with one number of at least 0 for each row, by which the log likelihood of the
        row is multiplied. A weight of 3 stands for three equal rows. Fractions are allowed: they
        raise the likelihood of the row to a power.
    compress : {"auto", True, False}, default "auto"
        Evaluate the density on the distinct rows, each counted as often as it occurs, where the
        likelihood is a product over rows. This is the density of all rows, up to rounding. "auto"
        does this with 10,000 rows or more, if at most half of them are distinct and no
        deterministic in the result has a value for each row. The attribute ``compression`` of the
        result says whether it was done. With True, it is an error if this is not possible.
    cores : int, optional
        The most cores to use; by default all that this process may use, and never more. Chains run
        side by side on them.
    random_seed : int, sequence of int, numpy.random.Generator, RandomState or None
        Seed of the starting points and of the draws: with the same seed and data, the draws are the
        same to the last bit on the same machine. An int must be below 2**64. By default, each call
        takes a new seed.
    progressbar : bool, default True
        Show the progress of the chains.

    **Draws on disk**

    out : path, optional
        A folder for the draws, in Zarr format, which must be new or empty. They are written every
        two seconds, and memory does not grow with their number. The folder can be read at any time,
        ``xarray.open_datatree(out, engine="zarr")``, even after the process was killed. Chains run
        in segments of up to 20,000 draws. After each segment, their step size is tuned again in 150
        steps that are discarded. So the draws differ from those of a run without `out`.
    resume : bool, default False
        Continue from the draws that `out` has, if any, until there are `draws` of them. The model,
        its data and the settings must be the same. Existing draws are kept; new ones start from the
        last of them, in the same coordinates. If the earlier run was stopped at the end of a
        segment, the new draws are those of an uninterrupted run, to the last bit. If it was stopped
        elsewhere, they are other draws from the same posterior.

    Returns
    -------
    xarray.DataTree
        An ArviZ tree with the dims and coords that the model has now. ``posterior`` has the free
        variables and the deterministics, with dims chain and draw and then their own;
        ``sample_stats`` has the statistics of each draw (``diverging``, ``energy``, ``lp``,
        ``tree_depth``, ...); ``observed_data`` and ``constant_data`` have the data. After Ctrl-C,
        the tree has the draws so far. Chains are then cut to one length, and those that had just
        begun are left out. With `out`, values are read from the folder when they are used.

    Raises
    ------
    FileExistsError, FileNotFoundError, ImportError
        If `out` exists, without `resume`, or is something else, or another process writes to it; if
        its parent folder does not exist; if zarr is not installed.
    KeyboardInterrupt
        If the call is interrupted before any chain has a draw after tuning.
    RuntimeError
        If nutpie fails, for any reason other than a density that is not finite.
    TypeError
        If there is no model, a free variable or an imputed missing value is discrete, or the
        density draws random numbers.
    ValueError
        If an argument is out of range, `init` is a fit of other variables, the model has no free
        variable, the model computes with missing values, its data come from a generator, only a
        part of its rows is in memory, or the log density is not finite where the chains start
        (names the variables at fault, and the first row); or `out` has draws of another model, of
        other data or settings.

    Warns
    -----
    ConvergenceWarning
        A single warning lists everything that makes the draws doubtful, with the variables at fault
        and what to do: trajectories that diverged; more than 5% of the trajectories of a chain cut
        at `max_treedepth`; an R-hat above 1.01; an effective sample size, of the bulk or of the
        tails, below 100 a chain; an E-BFMI below 0.3. Chains of fewer than 100 draws are not
        checked. There is another warning if Ctrl-C stopped the chains.

    Notes
    -----
    The sampler is nutpie: the No-U-Turn sampler of Hoffman and Gelman (2014), with a diagonal mass
    matrix that is adapted from draws and gradients.

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
    check_progressbar(progressbar)
    written = read_model(model)
    pymc_model = weighted_model(written, weights)
    settings = NutsSettings(
        check_until(until, draws, chains),
        DEFAULT_TUNE if tune is None else tune,
        chains,
        target_accept,
        max_treedepth,
        adaptation,
        cores,
    )
    check_init(init)
    check_backend(backend)
    check_flag("keep_warmup", keep_warmup, "keep_warmup=True keeps the tuning steps.")
    check_flag(
        "compute_convergence_checks",
        compute_convergence_checks,
        "compute_convergence_checks=False looks at no diagnostics, and warns of nothing.",
    )
    check_flag("log_likelihood", log_likelihood, "log_likelihood=True is what arviz.loo needs.")
    refused = {"until": until, "keep_warmup": keep_warmup, "log_likelihood": log_likelihood}
    check_disk_options(out, resume=resume, refused=refused)
    seed = _seed(random_seed, out)
    with ExitStack() as opened:
        opened.enter_context(reading_data(pymc_model))
        check_model(pymc_model)
        names = chosen_variables(pymc_model, var_names)
        starts = chain_starts(pymc_model, initvals, settings.chains)
        compressed = choose_compression(compress, written, names, weights)
        density_model = pymc_model if compressed is None else compressed.model
        density = compiled_density(density_model, names)
        bound = bind_data(density_model, density, None, starts, backend, lanes_of(settings.chains))
        free = [variable.name for variable in pymc_model.free_RVs]
        enough = EnoughDraws(free, bound.draw_layout, settings.chains) if until else None
        if out is None:
            num_more = num_observations(pymc_model) if log_likelihood else 0
            num_draws = settings.draws * settings.chains
            check_draws(num_draws, bound.draw_layout.sizes(), num_more)
        # Before the chains run: the data may be changed meanwhile.
        provenance = provenance_for_result(pymc_model)
        begin = time.perf_counter()
        store: DrawStore | None = None
        if out is not None:
            recorded = recorded_settings(settings, tune, names, seed)
            store = opened.enter_context(open_draw_store(out, recorded, resume=resume))
        goes_on = store is not None and store.num_draws > 0
        chosen_init = None if goes_on else init
        warm_start = choose_warm_start(chosen_init, density_model, bound, settings, seed)
        if warm_start.frame is not None:
            # Chains that start where the user says may have a long way to go.
            bound = bound.in_frame(warm_start.frame, warm_start.spread if starts is None else None)
            if tune is None and starts is None and warm_start.tune is not None:
                settings = replace(settings, tune=warm_start.tune)
        attrs = {
            **sampler_attrs(settings),
            **warm_start.attrs(),
            "compression": "none" if compressed is None else str(compressed),
            **({} if weights is None else {"weights": weights}),
            "backend": bound.backend,
        }
        try:
            if starts is not None and len(starts) > 1:
                seeds = chain_seeds(bound, settings, seed)
                bound = with_start_of_each(bound, starts, seeds)
            if store is not None:
                return draw_to_disk(
                    DiskRun(bound, settings, seed, names, store, warm_start.frame is not None),
                    pymc_model,
                    attrs,
                    provenance_attrs(provenance),
                    is_checked=compute_convergence_checks,
                    progressbar=progressbar,
                )
            trace = run_chains(bound, settings, seed, progressbar=progressbar, is_enough=enough)
        except RuntimeError as error:
            raise explain_failure(error, density_model, density, bound) from None
        number = None if enough is None else enough.number
        batches = ChainBatches.of(trace, number)
        draws_read = batches.read_draws(bound.draw_layout.size)
        if number is None:
            _warn_if_stopped(draws_read.flat.shape[:2], settings)
        draws_by_name = bound.draw_layout.split(draws_read.flat)
        if compute_convergence_checks:
            warn_of_doubts(
                draws_read.statistics,
                {name: draws_by_name[name] for name in free},
                target_accept=settings.target_accept,
                max_treedepth=settings.max_treedepth,
            )
        return posterior_tree(
            pymc_model,
            {name: draws_by_name[name] for name in names},
            sample_stats=draws_read.statistics,
            more_groups=(_warmup(batches, bound.draw_layout, names) if keep_warmup else {})
            | (_log_likelihood(pymc_model, draws_by_name) if log_likelihood else {}),
            attrs=attrs | {"sampling_time": time.perf_counter() - begin},
            posterior_attrs=provenance_attrs(provenance),
        )


def _seed(random_seed: RandomSeed | None, out: str | Path | None) -> int:
    """Return the seed of a run: by default that of the draws in a folder, or a new one."""
    seed = nuts_seed(random_seed)
    if seed is None and out is not None:
        seed = recorded_seed(out)
    return new_seed() if seed is None else seed


def _log_likelihood(model: pm.Model, draws: Mapping[str, Numbers]) -> dict[str, dict[str, Numbers]]:
    """Return the group of log likelihoods; warn if they cannot be computed."""
    groups: dict[str, dict[str, Numbers]] = {}
    with warning_of_failure(
        "The log likelihood is not in the tree",
        "the draws are complete; pymc.compute_log_likelihood may compute it.",
    ):
        groups["log_likelihood"] = pointwise_log_likelihood(model, draws)
    return groups


def _warmup(
    batches: ChainBatches, layout: DrawLayout, names: Sequence[str]
) -> dict[str, dict[str, Numbers]]:
    """Return the groups of the tuning steps."""
    steps = batches.read_tuning(layout.size)
    values = layout.split(steps.flat)
    return {
        "warmup_posterior": {name: values[name] for name in names},
        "warmup_sample_stats": steps.statistics,
    }


def _warn_if_stopped(shape: tuple[int, ...], settings: NutsSettings) -> None:
    """Warn if Ctrl-C left fewer chains, or fewer draws of each, than were asked for."""
    num_chains, num_draws = shape
    if shape != (settings.chains, settings.draws):
        warn(
            f"The keyboard stopped the chains: the result has {num_draws} draws of each of "
            f"{num_chains} chains, {settings.draws} of each of {settings.chains} were asked for.\n"
            "Hint: look at the effective sample sizes (arviz.summary) before relying on it.",
            ConvergenceWarning,
        )
