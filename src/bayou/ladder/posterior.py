"""`by.posterior`: the cheapest draws of a posterior that pass their own checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bayou.arguments import check_progressbar, new_seed, whole_number
from bayou.compression.compress_option import check_compress
from bayou.compression.weighted_model import weighted_model
from bayou.containers.context import takes_model_first
from bayou.containers.data_access import reading_data
from bayou.errors import ConvergenceWarning, warn
from bayou.ladder.climb import Climb
from bayou.ladder.time_limit import TimeLimit
from bayou.models.plain.plain_model import read_model
from bayou.models.posterior_tree import posterior_tree
from bayou.nuts.chosen_variables import chosen_variables
from bayou.nuts.settings import NutsSettings, nuts_seed
from bayou.provenance.model_provenance import provenance_for_result
from bayou.provenance.record import provenance_attrs
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from bayou.arguments import RandomSeed
    from bayou.containers.context import ModelLike

HINT = (
    "the attributes `rungs` and `errors` of the result say what was tried, and how far each "
    "variable may be off. A longer `budget`, narrower priors, or another way to write a hierarchy "
    "(x = mu + tau * z with z of Normal(0, 1)) may help."
)


@takes_model_first
def posterior(
    budget: float | None = None,
    *,
    draws: int = 1000,
    chains: int = 4,
    model: ModelLike | None = None,
    weights: str | None = None,
    compress: bool | str = "auto",
    var_names: Sequence[str] | None = None,
    cores: int | None = None,
    random_seed: RandomSeed | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a model by the cheapest method whose checks pass.

    Methods are tried in order of their cost, like the rungs of a ladder; each is called a *rung*.
    The first is :func:`bayou.fit`. Its check computes importance weights of its draws. If these
    show errors, adaptive importance sampling or short chains replace the draws. Searches from other
    starting points look for other modes. The fit is the result if all its errors are below a tenth
    of a standard deviation, and no other mode is found. Else chains of NUTS run in each mode, in
    the coordinates of the fit. They start around it, twice as wide, and run until R-hat and
    effective sample sizes are good. If these stay bad, longer chains with smaller steps follow.
    Draws from several modes are combined in proportion to the probability mass of each mode.

    The model may also be the first argument: ``by.posterior(model, 60)``.

    Parameters
    ----------
    budget : float, optional
        Time limit in seconds. After it, no new rung begins, and running chains stop and keep their
        draws. It does not interrupt compilation. The same seed gives the same result to the last
        bit, unless the limit ended the run.
    draws : int, default 1000
        The minimum number of draws of each chain. If the fit is the result, it gives
        ``draws * chains`` draws in one chain.
    chains : int, default 4
        The number of chains of NUTS, at least 2.
    model : pymc.Model or model of a library, optional
        The model; by default the model of the context. Its free variables must be continuous.
    weights : str, optional
        A container with one number of at least 0 for each row: the log likelihood of the row counts
        that often.
    compress : {"auto", True, False}, default "auto"
        Evaluate the density on the distinct rows, each counted, as :func:`bayou.sample` does.
    var_names : sequence of str, optional
        The free variables and deterministics to keep; by default all. The checks always cover all
        free variables.
    cores : int, optional
        The most cores that chains use; by default all that this process may use.
    random_seed : int, sequence of int, Generator or RandomState, optional
        Seed of the fit, of the searches and of the chains.
    progressbar : bool, default True
        Show the progress of the fit and of the chains.

    Returns
    -------
    xarray.DataTree
        An ArviZ tree as :func:`bayou.sample` returns it, with ``sample_stats`` if NUTS was needed.
        Attributes of the tree and of its ``posterior``:

        - ``rung``: "fit", "importance weights", "short chains", "nuts" or "longer nuts".
        - ``verdict``: "good" if the rung passed its checks, else "doubtful", "wrong" or "not
          checked"; ``reason``: why, in a sentence.
        - ``errors``: JSON of the largest error of an element of each free variable, in the "mean",
          the "sd" (relative) and the "q5" and "q95" quantiles, in standard deviations: the largest
          that the checks show or cannot exclude.
        - ``rungs``: JSON of the rungs that were tried, with verdict, reason and seconds.
        - ``mode_masses``: the share of the posterior in each mode that was found.

    Raises
    ------
    KeyboardInterrupt
        If the call is interrupted before there are any draws.
    TypeError
        If there is no model, or a free variable or an imputed missing value is discrete.
    ValueError
        If an argument is out of range, or the model can neither be fitted nor sampled from, for the
        reasons listed in :func:`bayou.fit` and :func:`bayou.sample`.

    Warns
    -----
    ConvergenceWarning
        If no rung passed. The warning says why, and what to do.
    UserWarning
        If the result is a fit in minibatches, and some deterministics depend on the minibatches.
        The warning names them.

    See Also
    --------
    fit : The first rung, with its ``verdict``.
    sample : NUTS alone.

    Notes
    -----
    The fit is DADVI, or a few passes over the rows, with linear response. Importance sampling is
    adaptive (Cornuet et al. 2012). Masses of modes come from bridge sampling (Meng and Wong 1996).
    R-hat and effective sample sizes are those of Vehtari et al. (2021). Chains may have up to 1
    divergence in 1,000 draws. A mode is missed if neither the fit nor ten searches reach it. With
    more than 512 elements, or many rows, there are no searches, and ``reason`` says so.

    Examples
    --------
    >>> with pm.Model():
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
    ...     tree = by.posterior(random_seed=1, progressbar=False)
    >>> tree.attrs["rung"], tree.attrs["verdict"]
    ('fit', 'good')
    >>> round(float(tree.posterior["mu"].mean()), 1)
    3.0
    """
    limit = TimeLimit.of(budget)
    check_progressbar(progressbar)
    check_compress(compress)
    whole_number("draws", draws, 1, "1000 draws of 4 chains suit most models.")
    whole_number("chains", chains, 2, "R-hat compares chains, so that at least two are run.")
    settings = NutsSettings(draws=draws, chains=chains, cores=cores)
    seed = nuts_seed(random_seed)
    written = read_model(model)
    pymc_model = weighted_model(written, weights)
    names = chosen_variables(pymc_model, var_names)
    climb = Climb(
        written,
        weights,
        names,
        settings,
        new_seed() if seed is None else seed,
        limit,
        compress=compress,
        progressbar=progressbar,
    )
    with reading_data(pymc_model):
        # Before the climb: the data may be changed meanwhile.
        provenance = provenance_attrs(provenance_for_result(pymc_model))
    answer = climb.run()
    attrs = answer.result_attrs() | {
        "rungs": json.dumps(climb.tried),
        "compression": climb.compression or "none",
        "sampling_time": limit.elapsed,
    }
    with reading_data(pymc_model):
        tree = posterior_tree(
            pymc_model,
            {name: answer.draws[name] for name in names if name in answer.draws},
            sample_stats=answer.statistics,
            attrs=attrs,
            posterior_attrs=provenance,
        )
    tree.attrs |= attrs
    if missing := [name for name in names if name not in answer.draws]:
        warn(
            f"The result has no draws of {listed(missing)}, which depend on a minibatch.\n"
            "Hint: by.predict computes them for any rows."
        )
    if not answer.passes:
        over = f" within the budget of {budget:g} s" if budget and limit.is_over else ""
        warn(
            f"No rung passed its checks{over}. The draws are from {answer.rung!r}, which is "
            f"{answer.word}: {answer.reason}.\nHint: {HINT}",
            ConvergenceWarning,
        )
    return tree
