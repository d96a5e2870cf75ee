"""The approximation that a fit ends with: its moments, draws from it, and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.arguments import whole_number
from bayou.fitting.result.covariance import element_covariance
from bayou.fitting.result.diagnostics import (
    Estimate,
    draw_densities,
    evidence_lower_bound,
    pareto_khat,
)
from bayou.fitting.result.fit_draws import constrained_draws, drawn_names, key_seed
from bayou.fitting.result.fit_html import fit_html
from bayou.fitting.result.fitted_model import FittedModel
from bayou.fitting.result.named_values import element_names
from bayou.fitting.result.plot import plot_fit
from bayou.fitting.result.saved_fit import write_fit
from bayou.fitting.result.verdict import Verdict, verdict_of, with_errors
from bayou.models.posterior_tree import posterior_tree
from bayou.provenance.record import provenance_attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from bayou.arguments import RandomSeed
    from bayou.containers.variables.dims import Numbers


class Fit(FittedModel):
    """An approximation of a posterior, as :func:`bayou.fit` and :func:`bayou.load` return it.

    ``sample()`` and ``summary()`` have the variables of the model. ``mean`` and ``std`` have the
    variables that were fitted: these are transformed to the real line, such as ``s_log__`` for a
    positive ``s``. ``khat()`` says how far the approximation is from the posterior, and ``reason``
    and ``elbo`` how the fit ended.

    It can be pickled. A pickle has the model, and the data that the model holds at that time. A
    file from ``save()`` contains neither model, data nor code.

    Attributes
    ----------
    model : pymc.Model
        The model that was fitted.
    provenance : Provenance, optional
        The data and the model that were fitted, which :func:`bayou.verify` compares.
    program : Program
        The model in JAX, which :func:`bayou.predict` and ``khat()`` compute with.
    approximation : Approximation
        The fitted distribution, with its history.
    density : AllRowsDensity
        The log density on all rows.
    """

    def _repr_html_(self) -> str:
        return fit_html(self)

    def sample(
        self,
        draws: int = 1000,
        *,
        random_seed: RandomSeed | None = None,
        var_names: str | Sequence[str] | None = None,
    ) -> xr.DataTree:
        """Draw from the approximation.

        Deterministics and the data groups use the data that the model has now.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws.
        random_seed : int, sequence of int, Generator or RandomState, optional
            Seed of the draws.
        var_names : str or sequence of str, optional
            The free variables and deterministics to draw; by default all. A deterministic with a
            value for each row takes as much memory as a column, for each draw.

        Returns
        -------
        xarray.DataTree
            Groups as in ArviZ: ``posterior``, in the space of the model, with one chain and the
            deterministics that depend on no minibatch; ``observed_data``, if all rows are in
            memory; ``constant_data``. An attribute of the posterior has the fingerprints of the
            data that were fitted, for :func:`bayou.verify`. If only a part of the rows of a source
            is in memory, the first call reads the source once, to compute its fingerprint.

        Raises
        ------
        ValueError
            If ``draws`` is below 1 or do not fit in half of the free memory, `var_names` has a name
            that is not a variable, or a variable with a value for each row was fitted to another
            number of rows than the model holds now.

        Notes
        -----
        After a fit in batches, a variable with a value for each row has the values of the rows that
        were fitted, in their order: the model must have the same rows in the same order.
        :func:`bayou.predict` is for other rows.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     fit = by.fit(random_seed=1, progressbar=False)
        >>> fit.sample(500).posterior["mu"].shape
        (1, 500)
        """
        names = drawn_names(self.program, var_names)
        posterior = self.draws(draws, random_seed=random_seed, names=names)
        attrs = {"inference_library": "bayou"}
        record = provenance_attrs(self.provenance)
        return posterior_tree(self.model, posterior, attrs=attrs, posterior_attrs=record)

    def draws(
        self,
        draws: int,
        *,
        random_seed: RandomSeed | None = None,
        names: Collection[str] | None = None,
    ) -> dict[str, Numbers]:
        """Draw from the approximation as :meth:`sample` does, into arrays.

        Parameters
        ----------
        draws : int
            The number of draws.
        random_seed : int, sequence of int, Generator or RandomState, optional
            Seed of the draws.
        names : collection of str, optional
            The variables to compute; by default all.

        Returns
        -------
        dict of str to ndarray, shapes (1, draws, ...)
            The draws of each variable, with a leading axis for the one chain.

        Raises
        ------
        ValueError
            As :meth:`sample` does.
        """
        draws = whole_number("draws", draws, 1, "1000 give means to 3% of a standard deviation.")
        chosen = None if names is None else frozenset(names)
        return constrained_draws(
            self.program, self.approximation, draws, key_seed(random_seed), chosen
        )

    def summary(
        self,
        draws: int = 4000,
        *,
        random_seed: RandomSeed | None = None,
        var_names: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Summarize draws of the variables of the model.

        Parameters
        ----------
        draws : int, default 4000
            The number of draws. With 4000, the Monte Carlo error of a mean is 1.6% of a standard
            deviation.
        random_seed : int, sequence of int, Generator or RandomState, optional
            Seed of the draws.
        var_names : str or sequence of str, optional
            The variables; all by default.

        Returns
        -------
        pandas.DataFrame
            A row for each element, such as "a[label]", with its mean, sd and interval, as
            :func:`arviz.summary` has them. There are no diagnostics of chains, since these draws
            are independent. If the fit was checked, the columns "mean_error", "sd_error",
            "q5_error" and "q95_error" are the errors in ``verdict.errors``, in standard deviations.
            They were computed together with the fit, and are NaN for deterministics. ``attrs`` has
            the ``passes`` over the rows, the ``correction`` of the standard deviations and the
            ``verdict``.

        Raises
        ------
        ValueError
            If ``draws`` is below 2 or do not fit in half of the free memory, or `var_names` has a
            name that is not a variable.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> list(approximation.summary(random_seed=1).columns[:5])
        ['mean', 'sd', 'eti89_lb', 'eti89_ub', 'mean_error']
        """
        # ArviZ takes seconds to import.
        from arviz import summary

        whole_number("draws", draws, 2, "4000 give means to 1.6% of a standard deviation.")
        names = drawn_names(self.program, var_names)
        drawn = self.draws(draws, random_seed=random_seed, names=names)
        # Without provenance, whose fingerprints may take reading a source.
        posterior = posterior_tree(self.model, drawn).posterior.dataset
        names_in_order = [var_names] if isinstance(var_names, str) else list(var_names or posterior)
        table: pd.DataFrame = summary(posterior, var_names=names_in_order, kind="stats")
        return with_errors(table, self)

    def covariance(self, var_names: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return the covariance of chosen variables, transformed to the real line as in `std`.

        Parameters
        ----------
        var_names : str or sequence of str, optional
            The variables, by their names in the model or by their transformed names, such as
            ``s_log__``; all by default.

        Returns
        -------
        pandas.DataFrame, shape (num_elements, num_elements)
            A row and a column for each element, such as ``a[label]`` or ``s_log__``.

        Raises
        ------
        ValueError
            If there is no variable with one of these names, or it has a value for each row.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> approximation.covariance("mu").round(3)
               mu
        mu  0.332
        """
        return element_covariance(self, var_names)

    def khat(self, draws: int = 1000, *, random_seed: RandomSeed | None = None) -> float:
        """Return k-hat, which measures how far the approximation is from the posterior.

        k-hat is the diagnostic of Pareto smoothed importance sampling (PSIS). Below 0.5, the
        approximation is close to the posterior given all rows. Up to 0.7, importance sampling can
        still correct it. Above 0.7, the approximation is partly wrong, most often in tails or
        correlations.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws. Each needs the log density of all rows.
        random_seed : int, sequence of int, Generator or RandomState, optional
            Seed of the draws.

        Returns
        -------
        float
            The shape of the generalized Pareto distribution that fits the largest importance
            ratios; -inf if all ratios are equal, 0 if they are nearly so, inf if a few draws have
            all weight.

        Raises
        ------
        ValueError
            If ``draws`` is below 100, or the log density of all rows cannot be computed or is nan
            at a draw.

        Notes
        -----
        Uses the data that the model has now. See Yao, Vehtari, Simpson and Gelman (2018); the
        limits are those of Vehtari et al. (2024). ArviZ computes it.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> approximation.khat(random_seed=1) < 0.5
        True
        """
        whole_number("draws", draws, 100, "k-hat comes from the largest fifth of the ratios.")
        return pareto_khat(*draw_densities(self, "khat", draws, random_seed))

    def elbo_estimate(
        self, draws: int = 1000, *, random_seed: RandomSeed | None = None
    ) -> Estimate:
        """Estimate the evidence lower bound on all rows, with the data that the model has now.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws. Each needs the log density of all rows.
        random_seed : int, sequence of int, Generator or RandomState, optional
            Seed of the draws.

        Returns
        -------
        Estimate
            ``value`` in nats, higher is better, and its Monte Carlo standard ``error``.

        Raises
        ------
        ValueError
            If ``draws`` is below 2, or the log density of all rows cannot be computed or is nan at
            a draw.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 1)
        ...     observed = pm.Normal("x", mu, 1, observed=[0.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> estimate = approximation.elbo_estimate(random_seed=1)
        >>> round(estimate.value, 3)  # log N(0; 0, variance 2)
        -1.266
        """
        whole_number("draws", draws, 2, "the error falls with the root of the number of draws.")
        densities = draw_densities(self, "elbo_estimate", draws, random_seed)
        return evidence_lower_bound(*densities)

    @property
    def verdict(self) -> Verdict:
        """Whether the fit can be relied on, as found by its check.

        See :class:`bayou.Verdict`. A fit of a given number of steps was not
        checked.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> approximation.verdict.word
        'good'
        >>> list(approximation.verdict.errors.columns[:4])
        ['mean', 'sd', 'q5', 'q95']
        """
        return verdict_of(self)

    def plot(self) -> Figure:
        """Plot the ELBO by step and the paths of the means with matplotlib, titled by the verdict.

        Returns
        -------
        matplotlib.figure.Figure
            Left, the ELBO of each step and its mean over chunks of steps. Right, for a stochastic
            fit, how far the mean of each element is from its final value; if there are more than
            200 elements, for the 20 that moved most. The background changes where the learning rate
            was halved.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     figure = by.fit(600, random_seed=1, progressbar=False).plot()
        >>> len(figure.axes)
        2
        """
        fitted, moved = self.approximation, self.approximation.path_elements
        names = [] if moved is None else element_names(self.mean, moved)
        verdict = self.verdict
        title = f"{verdict.word}: {verdict.reason}"
        return plot_fit(fitted.elbo, fitted.rates, fitted.path, fitted.path_steps, names, title)

    def save(self, path: str | Path) -> None:
        """Write the approximation to a file that :func:`bayou.load` reads.

        The file contains arrays and text, and no code. The model and its data are not in it, but
        their fingerprints are, for :func:`bayou.verify`.

        Parameters
        ----------
        path : str or Path
            The file. An existing file is replaced completely or, if writing fails, not at all.

        Raises
        ------
        FileNotFoundError
            If the folder of the file does not exist.
        IsADirectoryError
            If `path` is a folder.
        TypeError
            If the guide is not one of bayou's: only these can be saved. If `path` is no path.
        """
        write_fit(path, self.program, self.approximation, self.provenance)
