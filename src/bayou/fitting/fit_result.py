"""The approximation that a fit ends with: its moments, draws from it, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.arguments import whole_number
from bayou.density.compiled_functions import FunctionKey
from bayou.fitting.diagnostics import Estimate, evidence_lower_bound, log_densities, pareto_khat
from bayou.fitting.named_values import element_names, named_values
from bayou.fitting.plot import plot_fit
from bayou.models.posterior_tree import posterior_tree
from bayou.provenance.record import ATTRIBUTE
from bayou.storage.safetensors_file import write_arrays

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import pandas as pd
    import pymc as pm
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.approximation import Approximation
    from bayou.fitting.diagnostics import Density
    from bayou.fitting.guides import Guide, Params
    from bayou.fitting.guides.coordinates import Frame
    from bayou.provenance.record import Provenance


@dataclass(frozen=True)
class DrawsKey(FunctionKey):
    """Draws in the space of the model: the family, the names asked for, and if rows have some."""

    guide: Guide
    names: frozenset[str] | None
    has_latent: bool


@dataclass(frozen=True)
class CoordinatesKey(FunctionKey):
    """Draws in the coordinates of the guide, and its log densities at them."""

    guide: Guide


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """An approximation of a posterior.

    Attributes
    ----------
    model : pymc.Model
        The model that was fitted.
    program : Program
        The model as JAX functions.
    approximation : Approximation
        The distribution, and how the fit came to it.
    density : callable or str
        From positions, shape (draws, size), to log densities on all rows as the data are now; or
        what keeps them from being had, in words.
    provenance : Provenance, optional
        The data and the model that it was fitted to, which :func:`bayou.verify` compares.
    """

    model: pm.Model
    program: Program
    approximation: Approximation
    density: Density | str
    provenance: Provenance | None = None

    def __repr__(self) -> str:
        found = self.approximation
        return (
            f"Fit({found.guide}, steps={len(found.elbo)}, converged={found.converged}, "
            f"reason={found.reason!r}, correction={found.correction!r})"
        )

    @property
    def elbo(self) -> NDArray[Any]:
        """The evidence lower bound that each step estimated, in nats; higher is better."""
        return self.approximation.elbo

    @property
    def converged(self) -> bool:
        """Whether the fit was stable at its end; a fit of a given number of steps is not asked."""
        return self.approximation.converged

    @property
    def reason(self) -> str:
        """Why the fit ended."""
        return self.approximation.reason

    @property
    def correction(self) -> str | None:
        """What corrected the standard deviations: "linear_response", or None."""
        return self.approximation.correction

    @property
    def mean(self) -> xr.Dataset:
        """The means of the free variables, transformed to the real line as PyMC names them."""
        guide, params, frame = self._distribution
        latent = self.approximation.latent
        return named_values(
            self.model,
            self.program,
            frame.positions(np.asarray(guide.mean(params))),
            None if latent is None else np.asarray(latent.location),
        )

    @property
    def std(self) -> xr.Dataset:
        """The standard deviations of the free variables, transformed to the real line."""
        guide, params, frame = self._distribution
        latent = self.approximation.latent
        return named_values(
            self.model,
            self.program,
            frame.stds(np.asarray(guide.std(params))),
            None if latent is None else np.exp(np.asarray(latent.log_scale)),
        )

    @property
    def _distribution(self) -> tuple[Guide, Params, Frame]:
        found = self.approximation
        return found.guide, found.params, found.frame

    def sample(self, draws: int = 1000, *, random_seed: int | None = None) -> xr.DataTree:
        """Draw from the approximation.

        Deterministics and the data groups are of the data that the model holds now.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws.
        random_seed : int, optional
            Decides the draws.

        Returns
        -------
        xarray.DataTree
            As ArviZ reads it: ``posterior`` in the space of the model, one chain, with the
            deterministics that depend on no minibatch; ``observed_data``, where all rows are in
            memory; ``constant_data``. The posterior says which data were fitted, for
            :func:`bayou.verify`: the first time, a source of which a part is in memory is read once
            for that.

        Raises
        ------
        ValueError
            If ``draws`` is below 1, or a variable with a value for each row was fitted to another
            number of rows than the model holds now.

        Notes
        -----
        A variable with a value for each row, of a fit in batches, has those of the rows that were
        fitted, by their place: the model must hold the same rows in the same order.
        :func:`bayou.predict` is for others.
        """
        return self._tree(draws, random_seed, self.provenance)

    def _tree(
        self, draws: int, random_seed: int | None, provenance: Provenance | None
    ) -> xr.DataTree:
        posterior = self.draws(draws, random_seed=random_seed)
        attrs = {"inference_library": "bayou"}
        of_posterior = {} if provenance is None else {ATTRIBUTE: provenance.to_json()}
        return posterior_tree(self.model, posterior, attrs=attrs, posterior_attrs=of_posterior)

    def draws(
        self, draws: int, *, random_seed: int | None = None, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Draw from the approximation as :meth:`sample` does, into arrays.

        Parameters
        ----------
        draws : int
            The number of draws.
        random_seed : int, optional
            Decides the draws.
        names : collection of str, optional
            Those that are computed; by default all.

        Returns
        -------
        dict of str to ndarray, shapes (1, draws, ...)
        """
        draws = whole_number("draws", draws, 1, "1000 give means to 3% of a standard deviation.")
        guide, params, frame = self._distribution
        chosen = None if names is None else frozenset(names)
        seed = _seed(random_seed)
        self._check_rows(chosen)
        latent = self.approximation.latent
        # A draw of latent variables has a value for each row of the data.
        at_once = 256 if latent is None else 1

        def values(params: Any, frame: Frame, latent: Any, noise: Any, data: Any) -> Any:
            def value(both: Any) -> dict[str, jax.Array]:
                draw, key = both
                position = frame.positions(guide.transport(params, draw))
                found = self.program.constrain(position, (*data, *_latent_draw(latent, key)))
                return {name: found[name] for name in found if chosen is None or name in chosen}

            return jax.lax.map(value, noise, batch_size=at_once)

        compute = self.program.compiled.get_or_compile(
            DrawsKey(guide, chosen, latent is not None), lambda: jax.jit(values)
        )
        noise = self._noise(draws, seed), jax.random.split(jax.random.key(seed + 1), draws)
        state = None if latent is None else (latent.location, latent.log_scale)
        found = compute(params, frame, state, noise, self.program.constraining_inputs())
        return {name: np.asarray(part)[None] for name, part in found.items()}

    def summary(
        self,
        draws: int = 4000,
        *,
        random_seed: int | None = None,
        var_names: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Summarise draws from the approximation in the space of the model.

        Parameters
        ----------
        draws : int, default 4000
            The number of draws; means are known to 1.6% of a standard deviation with 4000.
        random_seed : int, optional
            Decides the draws.
        var_names : str or sequence of str, optional
            The variables; all by default.

        Returns
        -------
        pandas.DataFrame
            A row for each element, such as "a[label]", with its mean, sd and interval; as
            :func:`arviz.summary`, without what is told of chains: these draws are independent.

        Raises
        ------
        ValueError
            If ``draws`` is below 2, or a name is none of a variable.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> list(approximation.summary(random_seed=1).columns)
        ['mean', 'sd', 'eti89_lb', 'eti89_ub']
        """
        # ArviZ takes seconds to import.
        from arviz import summary

        whole_number("draws", draws, 2, "4000 give means to 1.6% of a standard deviation.")
        # What the draws are of is not asked, which may take reading a source.
        posterior = self._tree(draws, random_seed, None).posterior.dataset
        asked = [var_names] if isinstance(var_names, str) else list(var_names or posterior)
        unknown = [name for name in asked if name not in posterior]
        if unknown:
            raise ValueError(
                f"`var_names` must be of {list(posterior)}, got {unknown}.\n"
                "Hint: names are those of the model, before any transform."
            )
        table: pd.DataFrame = summary(posterior, var_names=asked, kind="stats")
        return table

    def khat(self, draws: int = 1000, *, random_seed: int | None = None) -> float:
        """Tell how far the approximation is from the posterior on all rows: the k-hat of PSIS.

        Below 0.5 it is close, and up to 0.7 importance sampling could still mend it; above, some
        of it is wrong: most often tails or correlations.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws, each of which costs a density of all rows.
        random_seed : int, optional
            Decides the draws.

        Returns
        -------
        float
            The shape of the Pareto tail of the importance ratios; -inf if all of them are equal.

        Raises
        ------
        ValueError
            If ``draws`` is below 100, the density of all rows cannot be had, or is nan at a draw.

        Notes
        -----
        The data are those that the model holds now. Yao, Vehtari, Simpson and Gelman (2018); the
        limits are those of Vehtari et al. (2024), through ArviZ.

        Examples
        --------
        >>> with pm.Model():
        ...     mu = pm.Normal("mu", 0, 10)
        ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
        ...     approximation = by.fit(random_seed=1, progressbar=False)
        >>> approximation.khat(random_seed=1) < 0.5
        True
        """
        whole_number("draws", draws, 100, "the tail of the ratios is a fifth of them or less.")
        return pareto_khat(*self._log_densities("khat", draws, random_seed))

    def elbo_estimate(self, draws: int = 1000, *, random_seed: int | None = None) -> Estimate:
        """Estimate the evidence lower bound of the approximation on all rows.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws, each of which costs a density of all rows.
        random_seed : int, optional
            Decides the draws.

        Returns
        -------
        Estimate
            ``value`` in nats, higher is better, and its Monte Carlo standard ``error``.

        Raises
        ------
        ValueError
            If ``draws`` is below 2, the density of all rows cannot be had, or is nan at a draw.

        Notes
        -----
        The data are those that the model holds now.

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
        return evidence_lower_bound(*self._log_densities("elbo_estimate", draws, random_seed))

    def plot(self) -> Figure:
        """Draw the way of the fit, by matplotlib.

        Returns
        -------
        matplotlib.figure.Figure
            Left the ELBO of each step and its mean over chunks of steps; right, for a stochastic
            fit, the mean of each element on its way to the final one, of the 20 that moved most
            where there are more than 200. A change of background marks where the rate was halved.

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
        found = self.approximation
        names = [] if found.path_elements is None else element_names(self.mean, found.path_elements)
        return plot_fit(found.elbo, found.rates, found.path, found.path_steps, names)

    def save(self, path: str | Path) -> None:
        """Write the approximation to a file that :func:`bayou.load` reads.

        The file holds arrays and text, nothing that could run. The model and its data are not in
        it, but what tells them from others is, for :func:`bayou.verify`.

        Parameters
        ----------
        path : str or Path
            The file; what was there is replaced, whole or not at all.

        Raises
        ------
        TypeError
            If the guide is none of bayou's own, which could not be made again.
        """
        found = self.approximation
        if type(found.guide).__module__.partition(".")[0] != "bayou":
            raise TypeError(
                f"`save` must be of a guide of bayou's own, got {found.guide!r}.\n"
                "Hint: keep draws of it instead: fit.sample().to_netcdf(path)."
            )
        leaves = jax.tree.leaves(found.params)
        names = ("path", "path_steps", "path_elements")
        optional = {name: getattr(found, name) for name in names}
        arrays = {f"params {index}": np.asarray(leaf) for index, leaf in enumerate(leaves)} | {
            "origin": np.asarray(found.frame.origin),
            "factor": np.asarray(found.frame.factor),
            "elbo": found.elbo,
            "rates": found.rates,
        }
        for name, leaf in zip(("latent 0", "latent 1"), found.latent or (), strict=False):
            arrays[name] = np.asarray(leaf)
        description = {
            "kind": "fit",
            "model": self.program.fingerprint,
            "batching": self.program.batching,
            "guide": type(found.guide).__name__,
            "guide options": vars(found.guide),
            "converged": found.converged,
            "reason": found.reason,
            "correction": found.correction,
            "provenance": None if self.provenance is None else self.provenance.to_json(),
        }
        present = {name: array for name, array in optional.items() if array is not None}
        write_arrays(path, arrays | present, description)

    def _noise(self, draws: int, seed: int) -> Any:
        size = self.program.layout.size
        return self.approximation.guide.noise(jax.random.key(seed), draws, size, None)

    def _log_densities(
        self, asked: str, draws: int, random_seed: int | None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        if isinstance(self.density, str):
            hint = "judge by scores of rows that were held out, which by.predict predicts"
            if self.program.latent is None:
                hint = f"observe a by.Minibatch, or {hint}"
            raise ValueError(
                f"`{asked}` must have the density of all rows, got none, since {self.density}.\n"
                f"Hint: {hint}."
            )
        guide, params, frame = self._distribution
        draw = self.program.compiled.get_or_compile(
            CoordinatesKey(guide), lambda: jax.jit(partial(_coordinates, guide))
        )
        coordinates, densities = draw(params, self._noise(draws, _seed(random_seed)))
        return log_densities(self.density, frame, coordinates, densities)

    def _check_rows(self, names: frozenset[str] | None) -> None:
        """Refuse draws of variables of rows for another number of rows."""
        of_rows, latent = self.program.latent, self.approximation.latent
        if of_rows is None or latent is None:
            return
        if names is not None and not names & set(of_rows.names):
            return
        fitted = len(latent.location)
        lengths = (held.get_value(borrow=True).shape[axis] for held, axis in self.program.counted)
        now = next(lengths, of_rows.num_rows)
        if now != fitted:
            raise ValueError(
                f"The model must hold the rows that were fitted, for draws of {of_rows.names[0]!r} "
                f"with a value for each: {fitted} were fitted, got {now} now.\n"
                "Hint: by.predict is for other rows; or put those that were fitted back."
            )


def _coordinates(guide: Guide, params: Params, noise: Any) -> Any:
    """Return draws of a guide, and its log densities at them."""

    def draw(one: Any) -> tuple[jax.Array, jax.Array]:
        coordinates = guide.transport(params, one)
        return coordinates, guide.log_density(params, coordinates)

    return jax.vmap(draw)(noise)


def _seed(random_seed: int | None) -> int:
    return int(np.random.SeedSequence(random_seed).generate_state(1)[0])


def _latent_draw(latent: Any, key: jax.Array) -> tuple[jax.Array, ...]:
    """Draw the latent variables of all rows, if any, by their locations and log scales."""
    if latent is None:
        return ()
    location, log_scale = latent
    noise = jax.random.normal(key, location.shape, location.dtype)
    return (location + jax.numpy.exp(log_scale) * noise,)
