"""`by.expand`: all rows again, from distinct ones with their counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayou.feeding.read import read_tables
from bayou.sources.base.field import choose_fields
from bayou.sources.in_memory.array import ArraySource
from bayou.sources.open import as_source
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from bayou.sources.base.source import Source

    type Counts = NDArray[np.int64]

LOG_LIKELIHOOD = "log_likelihood"
CONSTANT_DATA = "constant_data"


def expand(
    distinct: object, counts: str | ArrayLike = "count", *, dim: str | None = None
) -> Source | xr.DataTree | xr.Dataset:
    """Repeat each distinct row as often as its count says, to get all rows back.

    Parameters
    ----------
    distinct : Source, or object that :func:`bayou.source` takes, xarray.DataTree or Dataset
        Distinct rows, such as :func:`bayou.compress` returns, or results of a model of them: a tree
        of :func:`bayou.sample` with ``weights=``, or of :func:`bayou.predict`.
    counts : str or array_like of int, shape (rows,), default "count"
        How often each row occurs: whole numbers of at least 0. Either these numbers themselves, or
        a name: of a field of a source, of a variable in ``constant_data`` of a tree, or of a
        variable of a dataset.
    dim : str, optional
        The dim of the rows of a tree or dataset; by default that of the counts, or the only one
        with as many entries.

    Returns
    -------
    Source, xarray.DataTree or xarray.Dataset
        All rows in memory, equal ones side by side. A returned source has no field of counts. In a
        tree, all variables along the dim are repeated, and so are the labels of the dim. Log
        likelihoods that :func:`bayou.sample` computed with weights are sums over equal rows. They
        are divided by the counts here, so that ``arviz.loo`` leaves out one observation at a time,
        not all equal ones.

    Raises
    ------
    TypeError
        If the counts are not whole numbers.
    ValueError
        If there are no such counts, one is below 0, or if `dim` is not passed and not exactly one
        dim has as many entries as there are counts.

    See Also
    --------
    compress : The distinct rows of a source, with their counts.

    Notes
    -----
    Draws of predictions are repeated unchanged, so equal rows get the same draws. If each row needs
    its own draws, predict all rows instead.

    Examples
    --------
    >>> cells = by.compress({"late": np.array([1, 0, 1, 1])}, progressbar=False)
    >>> by.expand(cells).take(np.arange(4), ["late"])["late"]
    array([0, 1, 1, 1])
    """
    if isinstance(distinct, xr.DataTree):
        return _expand_tree(distinct, counts, dim)
    if isinstance(distinct, xr.Dataset):
        named = distinct.get(counts) if isinstance(counts, str) else None
        if isinstance(counts, str) and named is None:
            raise _no_counts_error(counts, distinct.variables)
        numbers, dim = _counts_and_dim(counts if named is None else named, dim, distinct.sizes)
        return _repeated(distinct, numbers, dim)
    if dim is not None:
        raise ValueError(
            f"`dim` must come with a tree or a dataset, got {dim!r} with rows of a source.\n"
            "Hint: leave it out; a source has one axis of rows."
        )
    return _expand_source(as_source(distinct, "distinct"), counts)


def _expand_source(source: Source, counts: str | ArrayLike) -> Source:
    names = list(source.fields)
    if isinstance(counts, str):
        if counts not in names:
            raise _no_counts_error(counts, names)
        names.remove(counts)
    fields = choose_fields(source.fields, names)
    wanted = [*names, counts] if isinstance(counts, str) else names
    tables = list(read_tables(source, wanted))
    table = {name: np.concatenate([block[name] for block in tables]) for name in wanted}
    num_rows = len(table[names[0]])
    values = table[counts] if isinstance(counts, str) else np.asarray(counts)
    numbers = _whole_counts(values)
    _check_length(numbers, num_rows)
    repeated = {name: np.repeat(table[name], numbers, axis=0) for name in names}
    return ArraySource({field.name: field for field in fields}, repeated, int(numbers.sum()))


def _expand_tree(tree: xr.DataTree, counts: str | ArrayLike, dim: str | None) -> xr.DataTree:
    values: ArrayLike | xr.DataArray
    if isinstance(counts, str):
        constant = tree.children.get(CONSTANT_DATA, xr.DataTree()).to_dataset()
        if counts not in constant:
            raise _no_counts_error(counts, constant.data_vars)
        values = constant[counts]
    else:
        values = counts
    sizes = {name: n for node in tree.subtree for name, n in node.sizes.items()}
    numbers, dim = _counts_and_dim(values, dim, sizes)
    groups = {}
    for node in tree.subtree:
        group = node.to_dataset()
        if dim in group.sizes:
            if node.name == LOG_LIKELIHOOD and "weights" in group.attrs:
                group = _of_one_row(group, numbers, dim)
            group = _repeated(group, numbers, dim)
        groups[node.path] = group
    return xr.DataTree.from_dict(groups)


def _of_one_row(group: xr.Dataset, numbers: Counts, dim: str) -> xr.Dataset:
    """Return log likelihoods of rows that count once, of rows that count several times."""
    # Rows that never occur are left out afterwards.
    divisor = xr.DataArray(np.maximum(numbers, 1), dims=dim)
    of_rows = {
        name: (values / divisor).transpose(*values.dims)
        for name, values in group.data_vars.items()
        if dim in values.dims
    }
    attrs = {name: value for name, value in group.attrs.items() if name != "weights"}
    new = group.assign(of_rows)
    new.attrs = attrs
    return new


def _repeated(group: xr.Dataset, numbers: Counts, dim: str) -> xr.Dataset:
    return group.isel({dim: np.repeat(np.arange(len(numbers)), numbers)})


def _counts_and_dim(
    counts: ArrayLike | xr.DataArray, dim: str | None, sizes: Mapping[Hashable, int]
) -> tuple[Counts, str]:
    numbers = _whole_counts(np.asarray(counts))
    lengths = {str(name): length for name, length in sizes.items()}
    if dim is None and isinstance(counts, xr.DataArray):
        [dim] = (str(name) for name in counts.dims)
    if dim is None:
        names = [name for name, length in lengths.items() if length == len(numbers)]
        if len(names) != 1:
            raise ValueError(
                "`counts` must have as many entries as one dim, got "
                f"{len(numbers)}, as {listed(names) if names else 'none'} of {lengths} has.\n"
                "Hint: pass `dim`, the dim of the rows."
            )
        [dim] = names
    if dim not in lengths:
        raise ValueError(
            f"`dim` must be one of {listed(lengths)}, got {dim!r}.\nHint: pass the dim of the rows."
        )
    _check_length(numbers, lengths[dim])
    return numbers, dim


def _check_length(numbers: Counts, num_rows: int) -> None:
    if len(numbers) != num_rows:
        raise ValueError(
            f"`counts` must have one number for each row, got {len(numbers)} for {num_rows} rows.\n"
            "Hint: pass the counts that the distinct rows were made with."
        )


def _whole_counts(values: NDArray[np.generic]) -> Counts:
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise TypeError(
            "`counts` must be whole numbers, one for each row, got "
            f"{values.dtype} of shape {values.shape}.\n"
            "Hint: name the field that says how often each row occurs."
        )
    numbers = values.astype(np.int64) if np.isfinite(values).all() else None
    wrong = (
        np.flatnonzero(~np.isfinite(values))
        if numbers is None
        else np.flatnonzero((numbers != values) | (numbers < 0))
    )
    if numbers is None or len(wrong):
        raise ValueError(
            f"`counts` must be whole numbers of at least 0, got {values[wrong[0]]} in row "
            f"{wrong[0]}.\nHint: weights that are no numbers of rows cannot be undone."
        )
    return numbers


def _no_counts_error(counts: str, names: Collection[Hashable]) -> ValueError:
    return ValueError(
        f"`counts` must be one of {listed(list(names))}, got {counts!r}.\n"
        "Hint: name what says how often each row occurs, or pass the numbers."
    )
