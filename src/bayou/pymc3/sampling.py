"""PyMC3's functions that draw: from a posterior, and from what a model predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm

import bayou as by
from bayou.pymc3.multi_trace import MultiTrace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from bayou.arguments import RandomSeed
    from bayou.containers.variables.dims import Numbers

    type Draws = dict[str, Numbers]

# PyMC3's ways to start a chain -> those of bayou. None leaves out the fit.
_INITS: dict[str | None, str | None] = {
    "auto": "auto",
    "advi": "auto",
    "advi+adapt_diag": "auto",
    "advi+adapt_diag_grad": "auto",
    "jitter+adapt_diag": None,
    "jitter+adapt_diag_grad": None,
    "adapt_diag": None,
    None: None,
}


def sample(
    draws: int = 1000,
    step: object = None,
    init: str | None = "auto",
    *,
    start: object = None,
    chains: int | None = None,
    cores: int | None = None,
    tune: int = 1000,
    progressbar: bool = True,
    model: pm.Model | None = None,
    random_seed: RandomSeed | None = None,
    discard_tuned_samples: bool = True,
    compute_convergence_checks: bool = True,
    return_inferencedata: bool | None = None,
    **nuts: Any,
) -> MultiTrace | xr.DataTree:
    """Draw from the posterior of a model, with PyMC3's arguments.

    Parameters
    ----------
    draws, tune : int, default 1000
        As for :func:`bayou.sample`.
    step : step method of PyMC, optional
        With one, PyMC draws. By default, bayou does, with NUTS.
    init : str, optional
        How chains start: "auto" and "advi" by a short fit; "adapt_diag", "jitter+adapt_diag" and
        None without. In all of them, chains start up to 1 off.
    start : dict or sequence of dict, optional
        The `initvals` of :func:`bayou.sample`.
    chains, cores : int, optional
        By default four chains, on all cores.
    progressbar, model, random_seed, compute_convergence_checks
        As for :func:`bayou.sample`.
    discard_tuned_samples : bool, default True
        False keeps the tuning steps as groups, which needs ``return_inferencedata=True``.
    return_inferencedata : bool, optional
        True returns an ArviZ tree; else a :class:`MultiTrace`.
    **nuts
        ``target_accept``, ``max_treedepth``, and other options of :func:`bayou.sample`.

    Returns
    -------
    MultiTrace or xarray.DataTree
    """
    if not (discard_tuned_samples or return_inferencedata):
        raise ValueError(
            "`discard_tuned_samples` must be True unless return_inferencedata=True, got "
            f"{discard_tuned_samples!r}.\nHint: a MultiTrace here has the draws alone."
        )
    options: dict[str, Any] = {
        "draws": draws,
        "tune": tune,
        "cores": cores,
        "progressbar": progressbar,
        "random_seed": random_seed,
        "compute_convergence_checks": compute_convergence_checks,
        "initvals": start,
        **nuts,
    }
    if step is not None:
        tree = pm.sample(
            step=step,
            chains=chains,
            model=pm.modelcontext(model),
            discard_tuned_samples=discard_tuned_samples,
            **options,
        )
    else:
        if init not in _INITS:
            raise ValueError(
                f"`init` must be one of {list(_INITS)}, got {init!r}.\n"
                'Hint: leave it out for "auto".'
            )
        tree = by.sample(
            chains=4 if chains is None else chains,
            init=_INITS[init],
            model=model,
            keep_warmup=not discard_tuned_samples,
            **options,
        )
    return tree if return_inferencedata else MultiTrace(tree)


def sample_posterior_predictive(
    trace: MultiTrace | xr.DataTree,
    samples: int | None = None,
    model: pm.Model | None = None,
    var_names: Sequence[str] | None = None,
    *,
    keep_size: bool = False,
    random_seed: RandomSeed | None = None,
    progressbar: bool = True,
) -> Draws:
    """Draw what a model predicts at the draws of a trace, with PyMC3's arguments.

    Parameters
    ----------
    trace : MultiTrace or xarray.DataTree
    samples : int, optional
        How many draws, of the first chain first, and from the begin again once all were taken; by
        default all of the trace.
    model : pymc.Model, optional
    var_names : sequence of str, optional
        The variables; by default the observed ones. Those that the trace has are its draws.
    keep_size : bool, default False
        Give arrays the axes of chains and of draws, in place of one.
    random_seed, progressbar
        As for ``pymc.sample_posterior_predictive``.

    Returns
    -------
    dict of str to ndarray, shape (samples, ...)
    """
    if keep_size and samples is not None:
        raise ValueError(
            f"`samples` must be None with keep_size=True, got {samples!r}.\n"
            "Hint: all draws of the trace have the axes of chains and draws."
        )
    pymc_model = pm.modelcontext(model)
    tree = trace.tree if isinstance(trace, MultiTrace) else trace
    posterior = tree["posterior"].to_dataset()
    observed = [variable.name for variable in pymc_model.observed_RVs]
    names = observed if var_names is None else var_names
    predicted = [name for name in names if name not in posterior]
    groups = [posterior]
    if predicted:
        drawn = pm.sample_posterior_predictive(
            tree,
            model=pymc_model,
            var_names=predicted,
            random_seed=random_seed,
            progressbar=progressbar,
        )
        groups.append(drawn["posterior_predictive"].to_dataset())
    values = {name: next(group[name].values for group in groups if name in group) for name in names}
    if keep_size:
        return values
    return {name: _take(array, samples) for name, array in values.items()}


def fast_sample_posterior_predictive(
    trace: MultiTrace | xr.DataTree,
    samples: int | None = None,
    model: pm.Model | None = None,
    var_names: Sequence[str] | None = None,
    keep_size: bool = False,
    random_seed: RandomSeed | None = None,
) -> Draws:
    """Draw what a model predicts; the same as :func:`sample_posterior_predictive` here."""
    return sample_posterior_predictive(
        trace,
        samples,
        model,
        var_names,
        keep_size=keep_size,
        random_seed=random_seed,
        progressbar=False,
    )


def sample_prior_predictive(
    samples: int = 500,
    model: pm.Model | None = None,
    var_names: Sequence[str] | None = None,
    random_seed: RandomSeed | None = None,
) -> Draws:
    """Draw the variables of a model from their prior, with PyMC3's arguments.

    Returns
    -------
    dict of str to ndarray, shape (samples, ...)
    """
    tree = pm.sample_prior_predictive(
        draws=samples, model=pm.modelcontext(model), var_names=var_names, random_seed=random_seed
    )
    groups = [tree[name].to_dataset() for name in ("prior", "prior_predictive") if name in tree]
    return {
        str(name): _take(group[name].values, None) for group in groups for name in group.data_vars
    }


def _take(values: Numbers, samples: int | None) -> Numbers:
    """Return values of chains and draws, shape (chains, draws, ...), along one axis."""
    joined = values.reshape(-1, *values.shape[2:])
    return joined if samples is None else joined[np.arange(samples) % len(joined)]
