"""Draws of the free variables of a model, from a fit or from the posterior of a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.arguments import whole_number
from bayou.containers.cast import exact_cast
from bayou.inference.context import model_of
from bayou.results.fit import Fit
from bayou.results.provenance import ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

# Draws from a fit, unless another number is asked for.
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class ParameterDraws:
    """Draws of the free variables of a model.

    Attributes
    ----------
    model : pymc.Model
    values : dict of str to ndarray, shapes (chains * draws, ...)
    chains, draws : ndarray of int64
        The labels of the draws.
    numbers : ndarray of int64, shape (chains * draws,)
        The number of each among all that there are.
    others : tuple of str
        What there are draws of that is not of the model.
    attrs : dict of str to str
        What says which data the draws are of, where that is known.
    """

    model: pm.Model
    values: dict[str, NDArray[Any]]
    chains: NDArray[np.int64]
    draws: NDArray[np.int64]
    numbers: NDArray[np.int64]
    others: tuple[str, ...]
    attrs: dict[str, str]

    def check(self, given: Sequence[str], population: Sequence[str]) -> None:
        """Refuse draws that are of another model, as far as names tell.

        Parameters
        ----------
        given : sequence of str
            The free variables whose draws are taken.
        population : sequence of str
            Those that would be drawn from their distribution once for all rows.

        Raises
        ------
        ValueError
            If variables are lacking and there are others, or all are lacking.
        """
        lacking = sorted(population)
        if lacking and (self.others or not given):
            raise ValueError(
                f"The posterior must be of this `model`, got one without {lacking} and with "
                f"{list(self.others)}, which the model does not have.\n"
                "Hint: pass the `model` that was sampled; to draw a variable from its population, "
                "leave out that one alone."
            )


def parameter_draws(
    fit_or_datatree: Any, draws: int | None, seed: int, model: pm.Model | None
) -> ParameterDraws:
    """Return draws of the free variables of a model.

    Parameters
    ----------
    fit_or_datatree : Fit, xarray.DataTree or xarray.Dataset
        An approximation, a tree with a group ``posterior``, or that group alone.
    draws : int or None
        How many: of an approximation, by default 1000; else of each chain, by default all, spread
        evenly over those that there are.
    seed : int
        Decides the draws from an approximation.
    model : pymc.Model or None
        The model; by default that of the fit, or of the context.

    Raises
    ------
    TypeError
        If it is neither, or there is no model.
    ValueError
        If there are fewer draws, or no ``posterior``.
    """
    if isinstance(fit_or_datatree, Fit):
        owner = fit_or_datatree.model if model is None else model_of(model)
        free = {variable.name: variable for variable in owner.free_RVs}
        count = DRAWS if draws is None else draws
        latent = fit_or_datatree.program.latent
        # Those of the rows of the fit are of no use for others, and may be millions.
        of_rows = set() if latent is None else set(latent.names)
        names = {variable.name for variable in fit_or_datatree.model.free_RVs} - of_rows
        arrays = fit_or_datatree.draws(count, random_seed=seed, names=names)
        provenance = fit_or_datatree.provenance
        attrs = {} if provenance is None else {ATTRIBUTE: provenance.to_json()}
        chains, labels = np.arange(1), np.arange(count)
        numbers = labels
    else:
        owner = model_of(model)
        free = {variable.name: variable for variable in owner.free_RVs}
        posterior = _posterior(fit_or_datatree)
        chosen = _spread(posterior.sizes["draw"], draws)
        arrays = {
            str(name): posterior[name].isel(draw=chosen).transpose("chain", "draw", ...).values
            for name in posterior.data_vars
            if name in free
        }
        attrs = {name: posterior.attrs[name] for name in (ATTRIBUTE,) if name in posterior.attrs}
        chains = _labels(posterior, "chain")
        labels = _labels(posterior, "draw")[chosen]
        first = np.arange(len(chains))[:, None] * posterior.sizes["draw"]
        numbers = (first + chosen).ravel()
    every = arrays if isinstance(fit_or_datatree, Fit) else posterior.data_vars
    return ParameterDraws(
        model=owner,
        values={
            name: _cast(name, array.reshape(-1, *array.shape[2:]), free[name].type.dtype)
            for name, array in arrays.items()
            if name in free
        },
        chains=chains,
        draws=labels,
        numbers=numbers,
        others=tuple(str(name) for name in every if name not in owner.named_vars),
        attrs=attrs,
    )


def _posterior(tree: Any) -> xr.Dataset:
    if isinstance(tree, xr.DataTree):
        if "posterior" in tree.children:
            tree = tree["posterior"]
        elif not tree.data_vars:
            raise ValueError(
                "`fit_or_datatree` must have a group `posterior`, got the groups "
                f"{list(tree.children)}.\nHint: pass what by.fit, by.sample or pm.sample returned."
            )
        tree = tree.to_dataset()
    if not isinstance(tree, xr.Dataset):
        raise TypeError(
            "`fit_or_datatree` must be a Fit, a DataTree or its posterior as a Dataset, got a "
            f"{type(tree).__name__}.\nHint: pass what by.fit, by.sample or pm.sample returned."
        )
    missing = [dim for dim in ("chain", "draw") if dim not in tree.sizes]
    if missing:
        raise ValueError(
            f"The posterior must have the dims chain and draw, got {list(tree.sizes)}.\n"
            "Hint: keep both: posterior.isel(chain=[0]) does, posterior.isel(chain=0) does not."
        )
    return tree


def _spread(there: int, draws: int | None) -> NDArray[np.int64]:
    """Return which draws of each chain are taken."""
    if draws is None:
        return np.arange(there)
    whole_number("draws", draws, 1, "leave it out to take all draws.")
    if draws > there:
        raise ValueError(
            f"`draws` must be at most {there}, the draws of each chain, got {draws}.\n"
            "Hint: leave it out to take all of them, or sample more."
        )
    return np.arange(draws) * there // draws


def _labels(posterior: xr.Dataset, dim: str) -> NDArray[np.int64]:
    return np.asarray(posterior[dim].values)  # Counted from 0, where there are none.


def _cast(name: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    return np.ascontiguousarray(exact_cast(array, dtype, f"The posterior of {name!r}"))
