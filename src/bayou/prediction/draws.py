"""Draws of the free variables of a model, from a fit or from the posterior of a tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from pytensor.graph.traversal import walk

from bayou.arguments import whole_number
from bayou.containers.reading.exact_cast import exact_cast
from bayou.containers.variables.dims import dims_of
from bayou.fitting.fit_result import Fit
from bayou.many.results.outcome import DATASET
from bayou.models.context import model_of
from bayou.prediction.graph.forward_graph import predictable
from bayou.provenance.model_provenance import dim_fingerprint
from bayou.provenance.record import ATTRIBUTE
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pymc as pm
    from numpy.typing import NDArray

# Draws from a fit, unless another number is asked for.
DRAWS = 1000
# Labels that an error shows.
SHOWN = 3

type Labels = tuple[pd.Index[Any] | None, ...]  # Of each axis of a draw; None where it has none.


@dataclass(frozen=True, eq=False)
class ParameterDraws:
    """Draws of the free variables of a model.

    Attributes
    ----------
    model : pymc.Model
    values : dict of str to ndarray, shapes (chains * draws, ...)
    labels : dict of str to tuple of (pandas.Index or None)
        What the elements of a draw are, along each of its axes; None where that is not known.
    chains, draws : ndarray of int64
        The labels of the draws.
    numbers : ndarray of int64, shape (chains * draws,)
        The number of each among all that there are.
    others : tuple of str
        What there are draws of that is not of the model.
    attrs : dict of str to str
        What says which data the draws are of, where that is known.
    changed : set of str
        Dims that had other labels when a fit was made, so that draws are of those.
    one_of_many : bool
        Whether they are of one of many data sets, which have no labels where these differ.
    """

    model: pm.Model
    values: dict[str, NDArray[Any]]
    labels: dict[str, Labels]
    chains: NDArray[np.int64]
    draws: NDArray[np.int64]
    numbers: NDArray[np.int64]
    others: tuple[str, ...]
    attrs: dict[str, str]
    changed: set[str]
    one_of_many: bool

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

    def in_order(self, names: Sequence[str], row_dims: Collection[str]) -> ParameterDraws:
        """Return the same with the elements of each draw in the order of the model's labels.

        Parameters
        ----------
        names : sequence of str
            What is to be predicted: other draws than those that it takes stay as they are.
        row_dims : collection of str
            Dims of the rows, which are others than those of the draws.

        Raises
        ------
        ValueError
            If draws are lacking, or a dim has other labels in the model.
        """
        model = self.model
        of_rows = {
            name for name in self.values if set(dims_of(model, model[name])[:1]) & set(row_dims)
        }
        stops = {model[name] for name in self.values.keys() - of_rows}
        outputs = [predictable(model)[name] for name in names]
        taken = set(
            walk(
                outputs,
                lambda found: [] if found in stops or found.owner is None else found.owner.inputs,
            )
        )
        values = dict(self.values)
        for name in values:
            if model[name] not in stops & taken:
                continue
            dims = dims_of(model, model[name])
            _refuse_filled_up(name, values[name], dims)
            for axis, (dim, labels) in enumerate(zip(dims, self.labels[name], strict=False)):
                if dim is None or dim in row_dims:
                    continue
                if labels is None:
                    if self.one_of_many and model.coords.get(dim):
                        _refuse_unlabelled(name, str(dim))
                    continue
                if dim in self.changed:
                    raise ValueError(
                        f"The dim {dim!r} must have the labels that {name!r} was fitted with, got "
                        "others, which its model has by now.\n"
                        "Hint: put them back with by.set_data, or fit again."
                    )
                places = _places(name, dim, labels, _model_labels(model, dim, len(labels)))
                if places is not None:
                    values[name] = values[name].take(places, axis + 1)
        return replace(self, values=values)


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
        every: Any = fit_or_datatree.draws(count, random_seed=seed, names=names)
        changed = _changed_dims(fit_or_datatree)
        arrays = {name: array for name, array in every.items() if name in free}
        known = {name: _fitted_labels(fit_or_datatree, name, arrays[name].shape) for name in arrays}
        provenance = fit_or_datatree.provenance
        attrs = {} if provenance is None else {ATTRIBUTE: provenance.to_json()}
        chains, labels = np.arange(1), np.arange(count)
        numbers = labels
    else:
        owner = model_of(model)
        free = {variable.name: variable for variable in owner.free_RVs}
        changed = set()
        every = posterior = _posterior(fit_or_datatree)
        _refuse_many(posterior, owner)
        chosen = _spread(posterior.sizes["draw"], draws)
        found = {
            str(name): _transposed(posterior[name], dims_of(owner, free[name])).isel(draw=chosen)
            for name in posterior.data_vars
            if name in free
        }
        arrays = {name: array.values for name, array in found.items()}
        known = {name: _known_labels(name, array) for name, array in found.items()}
        attrs = {name: posterior.attrs[name] for name in (ATTRIBUTE,) if name in posterior.attrs}
        chains = _labels(posterior, "chain")
        labels = _labels(posterior, "draw")[chosen]
        first = np.arange(len(chains))[:, None] * posterior.sizes["draw"]
        numbers = (first + chosen).ravel()
    return ParameterDraws(
        model=owner,
        values={
            name: _cast(name, array.reshape(-1, *array.shape[2:]), free[name].type.dtype)
            for name, array in arrays.items()
        },
        labels=known,
        chains=chains,
        draws=labels,
        numbers=numbers,
        others=tuple(str(name) for name in every if name not in owner.named_vars),
        attrs=attrs,
        changed=changed,
        one_of_many=DATASET in getattr(every, "coords", ()),
    )


def _transposed(array: xr.DataArray, dims: Sequence[str | None]) -> xr.DataArray:
    """Put the axes of draws into the order of the model's, as far as names tell."""
    lacking = [dim for dim in ("chain", "draw") if dim not in array.dims]
    if lacking:
        raise ValueError(
            f"The posterior of {array.name!r} must have the dims chain and draw, got "
            f"{list(array.dims)}.\n"
            "Hint: leave it out, to draw it from its distribution given the others, or give it "
            "both dims: array.expand_dims(...)."
        )
    own = [dim for dim in array.dims if dim not in ("chain", "draw")]
    named = dims if set(dims) == set(own) else own
    return array.transpose("chain", "draw", *named)


def _known_labels(name: str, array: xr.DataArray) -> Labels:
    """Return the labels of draws from a tree; dims that ArviZ made up count from 0."""
    return tuple(
        None if dim == f"{name}_dim_{axis}" else array.indexes.get(dim)
        for axis, dim in enumerate(array.dims[2:])
    )


def _fitted_labels(fit: Fit, name: str, shape: tuple[int, ...]) -> Labels:
    """Return the labels of draws from a fit."""
    dims = dims_of(fit.model, fit.model[name])
    return tuple(
        None if dim is None else _model_labels(fit.model, dim, length)
        for dim, length in zip(dims, shape[2:], strict=True)
    )


def _changed_dims(fit: Fit) -> set[str]:
    """Return the dims of free variables that have other labels than when they were fitted."""
    known = {} if fit.provenance is None else fit.provenance.dims
    return {
        dim
        for dim, fingerprint in known.items()
        if dim in fit.model.dim_lengths and dim_fingerprint(fit.model, dim) != fingerprint
    }


def _model_labels(model: pm.Model, dim: str, length: int) -> pd.Index[Any]:
    """Return the labels of a dim; without labels it counts from 0."""
    labels = model.coords.get(dim)
    return pd.RangeIndex(length) if labels is None else pd.Index(labels)


def _places(
    name: str, dim: str, there: pd.Index[Any], wanted: pd.Index[Any]
) -> NDArray[np.int64] | None:
    """Return where wanted labels are among those of the draws.

    Where both only count, their lengths are compared with those of the variable later on.
    """
    if _counts(there) and _counts(wanted):
        return None
    if there.equals(wanted):
        return None
    if len(there) == len(wanted) and there.is_unique and wanted.is_unique:
        places = there.get_indexer(wanted)
        if (places >= 0).all():
            return places.astype(np.int64)
    ours, theirs = wanted.difference(there, sort=False), there.difference(wanted, sort=False)
    got = f"{_shown(ours)} in the model, {_shown(theirs)} in the draws alone"
    if not len(ours) and not len(theirs):
        got = f"some more than once: {_shown(wanted)} in the model, {_shown(there)} in the draws"
    raise ValueError(
        f"The dim {dim!r} of `model` must have the labels that draws of {name!r} have, in any "
        f"order, got {got}.\n"
        "Hint: pass the model that was sampled, or give its dim those labels; to draw a variable "
        f"for other labels from its distribution, leave it out of the posterior: "
        f"tree.posterior.to_dataset().drop_vars({name!r})."
    )


def _counts(labels: pd.Index[Any]) -> bool:
    return labels.equals(pd.RangeIndex(len(labels)))


def _shown(labels: pd.Index[Any]) -> str:
    return listed(labels.tolist(), SHOWN) or "none"


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


def _refuse_many(posterior: xr.Dataset, model: pm.Model) -> None:
    """Refuse the draws of many data sets at once."""
    if DATASET in posterior.sizes and DATASET not in model.dim_lengths:
        keys = pd.Index(posterior[DATASET].values)
        one = keys.tolist()[0]
        raise ValueError(
            f"The posterior must be of one data set, got the dim {DATASET!r} of {_shown(keys)}.\n"
            f"Hint: pick one: by.predict(tree.posterior.sel({DATASET}={one!r}), ...)."
        )


def _refuse_filled_up(name: str, values: NDArray[Any], dims: Sequence[str | None]) -> None:
    """Refuse draws of which some are none."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        dim = next((dim for dim in dims if dim is not None), f"{name}_dim_0")
        raise ValueError(
            f"Draws of {name!r} must be numbers, got NaN.\n"
            "Hint: results of data sets that are shorter than others are filled up; cut that off: "
            f"posterior.dropna({dim!r}, how='all')."
        )


def _refuse_unlabelled(name: str, dim: str) -> None:
    raise ValueError(
        f"Draws of {name!r} must have the labels of the dim {dim!r}, got none, as where data sets "
        "have others each.\n"
        "Hint: give them those of this data set, in its order: "
        f"posterior.assign_coords({dim}=[...])."
    )


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
