"""Results of many data sets as one tree, and a table of how good that of each is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr

from bayou.many.results.common_labels import AgreedLabels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import NDArray

    type Key = str | int
    type Groups = dict[str, dict[str, xr.Variable]]

DATASET = "dataset"
DRAWS = (DATASET, "chain", "draw")
TABLE = "diagnostics"
# Results of so many data sets are judged, and written, at once; or less, of so many bytes.
AT_ONCE = 32
BYTES = 2**25
# The quantiles whose effective sample size is that of the tails (Vehtari et al. 2021).
TAILS = (0.05, 0.95)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a data set.

    Attributes
    ----------
    key : str or int
        Which one it is.
    data : str
        The fingerprint of its data.
    groups : mapping of str to mapping of str to ndarray, shape (chains, draws, ...)
        ``posterior`` and ``sample_stats``; empty where it failed.
    numbers : mapping of str to float
        What the table says of it.
    error : str
        Why it failed; empty where it did not.
    """

    key: Key
    data: str
    groups: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def size(self) -> int:
        """The bytes of its arrays."""
        return sum(array.nbytes for group in self.groups.values() for array in group.values())


@dataclass(frozen=True)
class Axes:
    """The names and the labels of the axes of results.

    Attributes
    ----------
    dims : mapping of str to tuple of str
        Of each variable that has named axes, after those of draws.
    coords : mapping of str to tuple
        The labels of dims.
    free : tuple of str
        The free variables, whose chains are judged.
    table : tuple of str
        The columns of the table.
    attrs : mapping of str to Any
        What is kept on each group.
    """

    dims: Mapping[str, tuple[str | None, ...]]
    coords: Mapping[str, tuple[Any, ...]]
    free: tuple[str, ...]
    table: tuple[str, ...]
    attrs: Mapping[str, Any]

    @classmethod
    def of(cls, model: pm.Model, table: Sequence[str], attrs: Mapping[str, Any]) -> Axes:
        """Return those of a model's variables.

        Raises
        ------
        ValueError
            If a variable or a dim has a name that results have for something else.
        """
        dims = {*model.coords, *model.dim_lengths}
        variables = {variable.name for variable in model.unobserved_RVs}
        taken = sorted({*DRAWS} & (dims | variables)) or sorted(variables & dims)
        if taken:
            raise ValueError(
                f"`model` must have no variable or dim of the name of another axis of the results, "
                f"got {taken[0]!r}.\n"
                f"Hint: rename it; data sets, chains and draws are {DRAWS}, dims have their names."
            )
        coords = {dim: labels for dim, labels in model.coords.items() if labels is not None}
        free = tuple(variable.name for variable in model.free_RVs)
        return cls(dict(model.named_vars_to_dims), coords, free, tuple(table), attrs)

    def names(self, name: str, array: NDArray[Any]) -> tuple[str, ...]:
        """Return the names of the axes of an array, shape (data sets, chains, draws, ...)."""
        number = array.ndim - len(DRAWS)
        given = self.dims.get(name) or (None,) * number
        own = (dim or f"{name}_dim_{axis}" for axis, dim in enumerate(given))
        return (*DRAWS, *own)


class Results(Protocol):
    """Where the results of data sets are gathered.

    Attributes
    ----------
    done : dict of str or int to str
        The fingerprints of the data of those that are there, by their keys.
    failed : dict of str or int to str
        The errors of those among them that failed.
    labels : dict of str or int to mapping of str to tuple
        Of data sets that are not there yet: their labels of dims, where the model has others.
    """

    done: dict[Key, str]
    failed: dict[Key, str]
    labels: dict[Key, Mapping[str, tuple[Any, ...]]]

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Take results of some more data sets."""

    def tree(self) -> xr.DataTree:
        """Return all of them."""


class Gathered:
    """Results in memory."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.done: dict[Key, str] = {}
        self.failed: dict[Key, str] = {}
        self.labels: dict[Key, Mapping[str, tuple[Any, ...]]] = {}
        self._agreed = AgreedLabels(axes.coords)
        self._parts: list[Groups] = []

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Take results of some more data sets."""
        self._parts.append(groups_of(self.axes, outcomes))
        self._agreed.take(taken_labels(self, outcomes))
        self.done |= {outcome.key: outcome.data for outcome in outcomes}

    def tree(self) -> xr.DataTree:
        """Return all of them."""
        groups: dict[str, xr.Dataset] = {}
        for group in ("posterior", "sample_stats", TABLE):
            parts = [part[group] for part in self._parts if group in part]
            if not parts:
                continue
            variables = {
                name: xr.Variable(
                    first.dims, padded([part[name].values for part in parts], whole=1)
                )
                for name, first in parts[0].items()
            }
            self._parts = [
                {name: found for name, found in part.items() if name != group}
                for part in self._parts
            ]
            coords = fitting(self._agreed.coords, variables)
            groups[group] = xr.Dataset(variables, coords, dict(self.axes.attrs))
        return xr.DataTree.from_dict(groups)


def taken_labels(
    results: Results, outcomes: Sequence[Outcome]
) -> list[Mapping[str, tuple[Any, ...]]]:
    """Take out the labels of data sets that now are done; return those of the good ones."""
    labels = {outcome.key: results.labels.pop(outcome.key, {}) for outcome in outcomes}
    return [labels[outcome.key] for outcome in outcomes if not outcome.error]


def groups_of(axes: Axes, outcomes: Sequence[Outcome]) -> Groups:
    """Put results of some data sets side by side, with the table of how good they are.

    Those that failed are in the table alone.
    """
    if "rhat" in axes.table:
        outcomes = with_judgement(outcomes, axes.free)
    good = [outcome for outcome in outcomes if not outcome.error]
    groups: Groups = {}
    keys = [outcome.key for outcome in good]
    for group in good[0].groups if good else ():
        found = {}
        for name in good[0].groups[group]:
            array = padded([outcome.groups[group][name] for outcome in good])
            found[name] = xr.Variable(axes.names(name, array), array)
        groups[group] = {DATASET: xr.Variable((DATASET,), _labels(keys)), **found}
    columns = {
        name: np.array([outcome.numbers.get(name, np.nan) for outcome in outcomes])
        for name in axes.table
    }
    table: dict[str, NDArray[Any]] = {
        DATASET: _labels([outcome.key for outcome in outcomes]),
        **columns,
        "data": _labels([outcome.data for outcome in outcomes]),
        "error": _labels([outcome.error for outcome in outcomes]),
    }
    groups[TABLE] = {name: xr.Variable((DATASET,), values) for name, values in table.items()}
    return groups


def with_judgement(outcomes: Sequence[Outcome], free: Sequence[str]) -> list[Outcome]:
    """Add to the numbers of each how its chains agree, unless that is there or it failed."""
    new = [found for found in outcomes if not (found.error or "rhat" in found.numbers)]
    if not new:
        return list(outcomes)
    draws = [padded([found.groups["posterior"][name] for found in new]) for name in free]
    columns = judged(draws)
    numbers = {
        found.key: {name: float(values[place]) for name, values in columns.items()}
        for place, found in enumerate(new)
    }
    return [
        replace(found, numbers={**found.numbers, **numbers.get(found.key, {})})
        for found in outcomes
    ]


def padded(arrays: Sequence[NDArray[Any]], whole: int = 0) -> NDArray[Any]:
    """Put arrays into one, NaN beyond the ends of the shorter ones.

    Integers and booleans with axes of their own become floats, whether there is something to fill
    up or not, so that the type does not depend on the data.

    Parameters
    ----------
    arrays : sequence of ndarray
        Of as many axes.
    whole : {0, 1}, default 0
        0 stacks them along a new first axis; 1 joins them along their first.

    Examples
    --------
    >>> padded([np.array([1.0, 2.0]), np.array([3.0])])
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    pieces = arrays if whole else [array[None] for array in arrays]
    first = pieces[0]
    shape = tuple(np.max([piece.shape[1:] for piece in pieces], axis=0).astype(int))
    has_axes = first.ndim > len(DRAWS)
    dtype = np.result_type(first, np.float64) if has_axes and first.dtype.kind in "biu" else None
    if all(piece.shape[1:] == shape for piece in pieces):
        return np.concatenate(pieces, dtype=dtype)
    joined = np.full((sum(map(len, pieces)), *shape), np.nan, dtype or first.dtype)
    begin = 0
    for piece in pieces:
        end = begin + len(piece)
        joined[(slice(begin, end), *map(slice, piece.shape[1:]))] = piece
        begin = end
    return joined


def judged(arrays: Iterable[NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Return the worst R-hat and effective sample sizes of each data set.

    Parameters
    ----------
    arrays : iterable of ndarray, shape (data sets, chains, draws, ...)
        Draws of variables; NaN where a data set has no such element.
    """
    # ArviZ takes seconds to import.
    from arviz_stats.base.array import array_stats

    statistics: Any = array_stats
    found: dict[str, list[NDArray[np.float64]]] = {"rhat": [], "ess_bulk": [], "ess_tail": []}
    for array in arrays:
        draws = np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 1)
        axes: dict[str, Any] = {"chain_axis": 2, "draw_axis": 3}
        found["rhat"].append(statistics.rhat(draws, **axes))
        found["ess_bulk"].append(statistics.ess(draws, method="bulk", **axes))
        found["ess_tail"].append(statistics.ess(draws, method="tail", prob=TAILS, **axes))
    worst = {"rhat": np.fmax.reduce, "ess_bulk": np.fmin.reduce, "ess_tail": np.fmin.reduce}
    return {
        name: worst[name](np.concatenate(parts, axis=1), axis=1) for name, parts in found.items()
    }


def fitting(
    coords: Mapping[str, tuple[Any, ...]], variables: Mapping[str, xr.Variable]
) -> dict[str, Any]:
    """Return the labels of the dims of some variables: those that are as many as the values."""
    lengths = {dim: n for found in variables.values() for dim, n in found.sizes.items()}
    counted = {dim: np.arange(lengths[dim]) for dim in DRAWS[1:] if dim in lengths}
    labelled = {
        dim: list(labels) for dim, labels in coords.items() if lengths.get(dim) == len(labels)
    }
    return counted | labelled


def _labels(values: Sequence[Any]) -> NDArray[Any]:
    return np.array(values, dtype=object if isinstance(next(iter(values), ""), str) else None)
