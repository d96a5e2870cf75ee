"""Draws of the free variables of a model: taken from a fit, or from the posterior of a tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from pytensor.graph.traversal import walk

from bayou.arguments import whole_number
from bayou.containers.reading.exact_cast import exact_cast
from bayou.containers.variables.dims import dims_of
from bayou.fitting.result.fit_result import Fit
from bayou.many.results.outcome import DATASET
from bayou.models.plain.plain_model import read_model
from bayou.prediction.graph.forward_graph import predictable
from bayou.prediction.labels import (
    changed_dims,
    fit_labels,
    label_positions,
    model_labels,
    shown_labels,
    tree_labels,
)
from bayou.provenance.record import ATTRIBUTE, provenance_attrs
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.context import ModelLike
    from bayou.containers.variables.dims import Dims, Numbers
    from bayou.prediction.labels import AxisLabels

# Draws taken from a fit by default: quantiles of 2.5% then have 25 draws beyond them.
FIT_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class ParameterDraws:
    """Draws of the free variables of a model.

    Attributes
    ----------
    model : pymc.Model
        The model.
    values : dict of str to ndarray, shapes (chains * draws, ...)
        The draws of each variable.
    labels : dict of str to tuple of (pandas.Index or None)
        The labels along each axis of one draw; None where they are not known.
    chains, draws : ndarray of int64
        The labels of the chains and of the draws.
    numbers : ndarray of int64, shape (chains * draws,)
        The number of each draw among all of the posterior. It selects the random numbers, so that
        few draws are predicted as they are among many.
    unknown_names : tuple of str
        The names in the posterior that are not of the model.
    attrs : dict of str to str
        The provenance of the draws, as an attribute of the predictions.
    changed_dims : frozenset of str
        The dims of a fit's model whose labels were changed since.
    lacks_labels : bool
        Whether dims without labels may have other elements than in the model, as in results of many
        data sets.
    """

    model: pm.Model
    values: dict[str, Numbers]
    labels: dict[str, AxisLabels]
    chains: NDArray[np.int64]
    draws: NDArray[np.int64]
    numbers: NDArray[np.int64]
    unknown_names: tuple[str, ...]
    attrs: dict[str, str]
    changed_dims: frozenset[str] = frozenset()
    lacks_labels: bool = False

    @property
    def first(self) -> dict[str, Numbers]:
        """The first draw of each variable, shapes (1, ...)."""
        return {name: values[:1] for name, values in self.values.items()}

    def check_names(
        self, used: Sequence[str], drawn_once: Sequence[str], names: Sequence[str]
    ) -> None:
        """Check that the draws are of this model, as far as names tell.

        Parameters
        ----------
        used : sequence of str
            The free variables whose draws are taken.
        drawn_once : sequence of str
            The free variables without draws, which would be drawn from their distribution.
        names : sequence of str
            The variables to predict, which may be among them.

        Raises
        ------
        ValueError
            If all draws are missing, or some are and there are draws of unknown names.
        """
        missing = sorted(set(drawn_once) - set(names))
        if missing and (self.unknown_names or not used):
            raise ValueError(
                f"The posterior must be of this `model`, got one without {missing} and with "
                f"{list(self.unknown_names)}, which the model does not have.\n"
                "Hint: pass the `model` that was sampled; to draw a variable from its population, "
                "leave out that one alone."
            )

    def aligned(self, names: Sequence[str], row_dims: Collection[str]) -> ParameterDraws:
        """Return the same draws, with the elements of each in the order of the model's labels.

        Parameters
        ----------
        names : sequence of str
            The variables to predict. Draws that these do not depend on stay as they are.
        row_dims : collection of str
            The dims of the rows, whose labels in the draws are of other rows.

        Raises
        ------
        ValueError
            If a draw is NaN, or a dim has other labels in the model.
        """
        values = dict(self.values)
        for name in self._needed(names, row_dims):
            dims = dims_of(self.model, self.model[name])
            _check_no_padding(name, values[name], dims)
            for axis, (dim, labels) in enumerate(zip(dims, self.labels[name], strict=False)):
                if dim is None or dim in row_dims:
                    continue
                positions = self._positions(name, dim, labels)
                if positions is not None:
                    values[name] = values[name].take(positions, axis + 1)
        return replace(self, values=values)

    def _needed(self, names: Sequence[str], row_dims: Collection[str]) -> list[str]:
        """Return the variables without an axis of rows whose draws the predictions depend on."""
        model = self.model
        by_row = {name for name in self.values if set(dims_of(model, model[name])) & set(row_dims)}
        candidates = {model[name] for name in self.values.keys() - by_row}
        reached = set(
            walk(
                [predictable(model)[name] for name in names],
                lambda variable: (
                    []
                    if variable in candidates or variable.owner is None
                    else variable.owner.inputs
                ),
            )
        )
        return [name for name in self.values if model[name] in candidates & reached]

    def _positions(self, name: str, dim: str, labels: pd.Index | None) -> NDArray[np.int64] | None:
        """Return the positions of the model's elements of a dim in the draws; None as they are."""
        if labels is None:
            if self.lacks_labels and self.model.coords.get(dim):
                raise ValueError(
                    f"Draws of {name!r} must have the labels of the dim {dim!r}, got none. Results "
                    "of many data sets have none where the labels differ between data sets.\n"
                    "Hint: assign those of this data set, in its order: "
                    f"posterior.assign_coords({dim}=[...])."
                )
            return None
        if dim in self.changed_dims:
            raise ValueError(
                f"The dim {dim!r} must have the labels that {name!r} was fitted with, got "
                "different ones, set after the fit.\n"
                "Hint: put them back with by.set_data, or fit again."
            )
        return label_positions(name, dim, labels, model_labels(self.model, dim, len(labels)))


def predicted_model(fit_or_datatree: object, model: ModelLike | None) -> pm.Model:
    """Return the model: that of a fit, or of the context, if None.

    Raises
    ------
    TypeError
        If there is none.
    """
    if isinstance(fit_or_datatree, Fit) and model is None:
        return fit_or_datatree.model
    return read_model(model)


def fitted_names(fit_or_datatree: object) -> set[str]:
    """Return the names of the variables that a fit, or a posterior, has draws of."""
    if isinstance(fit_or_datatree, Fit):
        return {variable.name for variable in fit_or_datatree.model.free_RVs}
    return {str(name) for name in _posterior(fit_or_datatree).data_vars}


def parameter_draws(
    fit_or_datatree: object,
    draws: int | None,
    seed: int,
    model: pm.Model,
    row_dims: Collection[str],
) -> ParameterDraws:
    """Return draws of the free variables of a model.

    Parameters
    ----------
    fit_or_datatree : Fit, xarray.DataTree or xarray.Dataset
        A fit, a tree with a group ``posterior``, or that group alone.
    draws : int or None
        Of a fit the number of draws, by default 1000. Of a posterior the number of each chain,
        evenly spaced, by default all.
    seed : int
        The seed of draws from a fit.
    model : pymc.Model
        The model.
    row_dims : collection of str
        The dims of the rows.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If there are fewer draws, or no ``posterior``.
    """
    if isinstance(fit_or_datatree, Fit):
        num_draws = FIT_DRAWS if draws is None else draws
        return _fit_draws(fit_or_datatree, num_draws, seed, model, row_dims)
    return _posterior_draws(_posterior(fit_or_datatree), draws, model)


def _fit_draws(
    fit: Fit, num_draws: int, seed: int, model: pm.Model, row_dims: Collection[str]
) -> ParameterDraws:
    latent = fit.program.latent
    # Variables with a value for each row of the fit are no use for other rows, and may be millions.
    by_row = {
        name
        for name in (() if latent is None else latent.names)
        if not row_dims or {*dims_of(fit.model, fit.model[name])} & {*row_dims, None}
    }
    names = {variable.name for variable in fit.model.free_RVs} - by_row
    drawn = fit.draws(num_draws, random_seed=seed, names=names)
    free = {variable.name for variable in model.free_RVs}
    arrays = {name: array for name, array in drawn.items() if name in free}
    provenance = fit.provenance
    return ParameterDraws(
        model=model,
        values=_joined_chains(model, arrays),
        labels={
            name: fit_labels(fit.model, dims_of(fit.model, fit.model[name]), array.shape[2:])
            for name, array in arrays.items()
        },
        chains=np.arange(1),
        draws=np.arange(num_draws),
        numbers=np.arange(num_draws),
        unknown_names=tuple(name for name in drawn if name not in model.named_vars),
        attrs=provenance_attrs(provenance),
        changed_dims=changed_dims(fit),
    )


def _posterior_draws(posterior: xr.Dataset, draws: int | None, model: pm.Model) -> ParameterDraws:
    _check_one_data_set(posterior, model)
    free = {variable.name: variable for variable in model.free_RVs}
    chosen = _evenly_spaced(posterior.sizes["draw"], draws)
    arrays = {
        str(name): _transposed(posterior[name], dims_of(model, free[name])).isel(draw=chosen)
        for name in posterior.data_vars
        if name in free
    }
    chains = np.asarray(posterior["chain"].values)
    first_numbers = np.arange(len(chains))[:, None] * posterior.sizes["draw"]
    return ParameterDraws(
        model=model,
        values=_joined_chains(model, {name: array.values for name, array in arrays.items()}),
        labels={name: tree_labels(name, array) for name, array in arrays.items()},
        chains=chains,
        draws=np.asarray(posterior["draw"].values)[chosen],
        numbers=(first_numbers + chosen).ravel(),
        unknown_names=tuple(str(name) for name in posterior if name not in model.named_vars),
        attrs={name: posterior.attrs[name] for name in (ATTRIBUTE,) if name in posterior.attrs},
        lacks_labels=DATASET in posterior.coords,
    )


def _joined_chains(model: pm.Model, arrays: dict[str, Numbers]) -> dict[str, Numbers]:
    """Return arrays as the dtypes of the model, shapes (chains * draws, ...)."""
    return {
        name: np.ascontiguousarray(
            exact_cast(
                array.reshape(array.shape[0] * array.shape[1], *array.shape[2:]),
                model[name].type.dtype,
                f"The posterior of {name!r}",
            )
        )
        for name, array in arrays.items()
    }


def _posterior(tree: object) -> xr.Dataset:
    """Return the posterior of a tree, or the tree itself if it is that."""
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
            "`fit_or_datatree` must be a Fit, a DataTree or its posterior as a Dataset, got "
            f"{type_text(tree)}.\nHint: pass what by.fit, by.sample or pm.sample returned."
        )
    missing = [dim for dim in ("chain", "draw") if dim not in tree.sizes]
    if missing:
        raise ValueError(
            f"The posterior must have the dims chain and draw, got {list(tree.sizes)}.\n"
            "Hint: keep both: posterior.isel(chain=[0]) does, posterior.isel(chain=0) does not."
        )
    return tree


def _check_one_data_set(posterior: xr.Dataset, model: pm.Model) -> None:
    """Refuse the draws of many data sets, of which predictions would be ambiguous."""
    if DATASET in posterior.sizes and DATASET not in model.dim_lengths:
        keys = pd.Index(posterior[DATASET].values)
        first = keys.tolist()[0]
        raise ValueError(
            "The posterior must be of one data set, got the dim "
            f"{DATASET!r} of {shown_labels(keys)}.\n"
            f"Hint: select one: by.predict(tree.posterior.sel({DATASET}={first!r}), ...)."
        )


def _transposed(array: xr.DataArray, dims: Dims) -> xr.DataArray:
    """Order the axes of draws as in the model, if they have the same names."""
    missing = [dim for dim in ("chain", "draw") if dim not in array.dims]
    if missing:
        raise ValueError(
            f"The posterior of {array.name!r} must have the dims chain and draw, got "
            f"{list(array.dims)}.\n"
            "Hint: leave it out, to draw it from its distribution given the others, or give it "
            "both dims: array.expand_dims(...)."
        )
    element_dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
    order = dims if set(dims) == set(element_dims) else element_dims
    return array.transpose("chain", "draw", *order)


def _evenly_spaced(available: int, draws: int | None) -> NDArray[np.int64]:
    """Return the positions of the draws that are taken of each chain."""
    if draws is None:
        return np.arange(available)
    whole_number("draws", draws, 1, "leave it out to take all draws.")
    if draws > available:
        raise ValueError(
            f"`draws` must be at most {available}, the draws of each chain, got {draws}.\n"
            "Hint: leave it out to take all of them, or sample more."
        )
    return np.arange(draws) * available // draws


def _check_no_padding(name: str, values: NDArray[np.generic], dims: Dims) -> None:
    """Refuse draws with NaN, which pad the results of data sets that are shorter than others."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        dim = next((dim for dim in dims if dim is not None), f"{name}_dim_0")
        raise ValueError(
            f"Draws of {name!r} must be numbers, got NaN.\n"
            "Hint: in results of many data sets, NaN pads those that are shorter than others; "
            f"remove it: posterior.dropna({dim!r}, how='all')."
        )
