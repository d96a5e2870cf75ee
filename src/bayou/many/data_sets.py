"""Many data sets for one model: by key, one after another, or as the groups of a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayou.containers.reading.column_matching import require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.new_values import is_container
from bayou.sources.named_columns import NamedColumns, named_columns
from bayou.text import listed

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.sources.base.field import Field

type Key = str | int


@dataclass(frozen=True, eq=False)
class DataSets:
    """Data sets by their keys.

    Attributes
    ----------
    pairs : iterable of (key, new data)
        What :func:`bayou.set_data` takes, for each key: read as it is asked for.
    number : int or None
        How many there are, where that is known.
    first : Any
        The new data of the least key, where their number is known; else None.
    names : frozenset of str or None
        The containers that they give values for together, where that is known.
    """

    pairs: Iterable[tuple[Any, Any]]
    number: int | None
    first: Any = None
    names: frozenset[str] | None = None

    def __iter__(self) -> Iterator[tuple[Key, Any]]:
        """Yield keys, of one type, with data; or with the error that reading them raised."""
        before: Key | None = None
        for given, new_data in self.pairs:
            before = _key(given, before)
            yield before, new_data


def _key(given: Any, before: Key | None) -> Key:
    """Return a key, refused if it is none or of another type than those before it."""
    key = given.item() if isinstance(given, np.generic) else given
    if type(key) not in (str, int) or (before is not None and type(key) is not type(before)):
        raise TypeError(
            f"`datasets` must have keys that are all strings or all whole numbers, got "
            f"{given!r}{'' if before is None else f' after a {type(before).__name__}'}.\n"
            "Hint: make strings of them; they become the coords of the results."
        )
    if isinstance(key, int) and not -(2**63) <= key < 2**63:
        raise ValueError(
            f"`datasets` must have keys that int64 can hold, or strings, got {key}.\n"
            "Hint: make strings of all of them."
        )
    found: Key = key
    return found


def read_data_sets(model: pm.Model, datasets: Any, by: str | None) -> DataSets:
    """Read what the argument `datasets` means: a mapping, an iterable, or a table with groups.

    Parameters
    ----------
    model : pymc.Model
        Whose containers are fed.
    datasets : mapping, iterable or table
        Of keys to new data; of new data, whose keys then are their numbers; or rows.
    by : str or None
        The column of a table that has the keys.

    Raises
    ------
    TypeError
        If it is none of these, or the keys are neither strings nor whole numbers.
    ValueError
        If columns are lacking, a key is missing, or there is no data set.
    """
    if by is not None:
        return _groups(model, _table(datasets, by), by)
    if isinstance(datasets, pd.Series) and datasets.dtype == object:
        datasets = _by_index(datasets)
    if isinstance(datasets, Mapping):
        before: Key | None = None
        for key in datasets:  # A wrong key is met before all else.
            before = _key(key, before)
        least = min(datasets, default=None)
        first = None if least is None else _value(datasets, least)
        in_memory = isinstance(datasets, dict)
        # What reads its values as they are asked for is asked for one.
        checked = datasets if in_memory or not datasets else {least: first}
        for key, value in checked.items():
            _refuse_no_data(value, "map keys to the data of each", f" for {key!r}")
        values = datasets.values() if in_memory else None
        found = DataSets(_pairs(datasets), len(datasets), first, _names(model, values))
    elif not isinstance(datasets, str | bytes) and named_columns(datasets) is not None:
        raise TypeError(
            f"`datasets` must come with `by=` where it is a table, got a "
            f"{type(datasets).__name__} alone.\n"
            "Hint: name the column whose values tell the data sets apart, such as by='shop'."
        )
    elif isinstance(datasets, Iterable) and not isinstance(datasets, str | bytes | np.ndarray):
        number = len(datasets) if isinstance(datasets, Sized) else None
        held = datasets if isinstance(datasets, list | tuple) else None
        again = number and not isinstance(datasets, Iterator)
        first = next(iter(datasets), None) if again else None
        if again:
            _refuse_no_data(first, "hold the data of each", " as the first")
        found = DataSets(_counted(datasets), number, first, _names(model, held))
    else:
        raise TypeError(
            "`datasets` must be a mapping of keys to data, an iterable of data, or a table, got a "
            f"{type(datasets).__name__}.\nHint: pass [{{'x': values}}, {{'x': others}}]."
        )
    if found.number == 0:
        raise ValueError(
            "`datasets` must hold at least one data set, got none.\n"
            "Hint: check what was to be read."
        )
    return found


def _feeds(value: Any) -> bool:
    """Whether something can be the data of a model: a mapping or a table."""
    return isinstance(value, Mapping) or (not callable(value) and named_columns(value) is not None)


def _refuse_no_data(value: Any, rule: str, which: str) -> None:
    """Refuse what cannot be a data set; an error in its place is told in the table."""
    if isinstance(value, Exception) or _feeds(value):
        return
    hint = "pass {'first': {'x': values}}; for a table with a column of keys, `by=`."
    if isinstance(value, tuple) and len(value) == 2 and _feeds(value[1]):
        hint = "pass dict(datasets) where its items are pairs of keys and data."
    elif callable(value):
        hint = "data sets are mappings, {'x': values}, or tables: pass what the function returns."
    raise TypeError(f"`datasets` must {rule}, got a {type(value).__name__}{which}.\nHint: {hint}")


def _value(datasets: Mapping[Any, Any], key: Any) -> Any:
    """Return the value of a key, or the error that it raises: of one data set alone."""
    try:
        return datasets[key]
    except Exception as error:
        return error


def _pairs(datasets: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield keys with their values, read as they are asked for."""
    for key in datasets:
        yield key, _value(datasets, key)


def _counted(datasets: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the items of an iterable with their numbers; say at which it raised an error."""
    items = iter(datasets)
    for number in itertools.count():
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(
                f"`datasets` raised this in the place of item {number}.\n"
                "Hint: with `out=`, the results of those before it are kept, and the same call "
                "goes on from there."
            )
            raise
        if number == 0:
            _refuse_no_data(item, "hold the data of each", " as the first")
        yield number, item


def _by_index(series: pd.Series[Any]) -> dict[Any, Any]:
    """Return the data sets of a Series by its index."""
    if not series.index.is_unique:
        twice = series.index[series.index.duplicated()][0]
        raise ValueError(
            f"`datasets` must have each key once, got {twice!r} twice in the index.\n"
            "Hint: reset the index, or make the keys unique."
        )
    return dict(zip(series.index.tolist(), series.tolist(), strict=True))


def _names(model: pm.Model, values: Iterable[Any] | None) -> frozenset[str] | None:
    """Return the containers that data sets in memory name together; None if they do not."""
    found: set[str] = set()
    for value in values or ():
        if not isinstance(value, Mapping):
            return None
        found |= {model[name].name for name in value if is_container(model, name)}
    return frozenset(found) or None


def _table(datasets: Any, by: Any) -> NamedColumns:
    """Return the table that `by` names a column of."""
    if isinstance(by, list | tuple | set | np.ndarray):
        raise TypeError(
            f"`by` must be the name of one column, got {by!r}.\n"
            "Hint: make one column of keys of them, and pass its name."
        )
    first = next(iter(datasets.values()), None) if isinstance(datasets, Mapping) else None
    table = named_columns(first) if first is not None and _feeds(first) else None
    if table is not None and not table.is_series:
        raise TypeError(
            f"`datasets` with `by` must be a table, got a mapping of keys to data and by={by!r}.\n"
            "Hint: leave out `by`: the keys of the mapping tell the data sets apart."
        )
    return require_table(datasets, "`datasets` with `by`")


def _groups(model: pm.Model, table: NamedColumns, by: str) -> DataSets:
    """Cut the columns that containers were built from into the groups of another column."""
    if by not in table.names:
        raise ValueError(
            f"`by` must name a column of the table, got {by!r}.\n"
            f"Hint: the columns are {listed(tuple(map(str, table.names)))}."
        )
    used = {
        name
        for variable in model.root.data_vars
        if (columns := columns_of(variable)) is not None
        for name in columns.names
        if name in table.names
    }
    if not used:
        raise ValueError(
            "`datasets` with `by` must have columns that containers of the model were built from, "
            f"got {listed(tuple(map(str, table.names)))}.\n"
            "Hint: build the containers with `columns=`, or pass a mapping of keys to data."
        )
    names = [*sorted(used), *([] if by in used else [by])]
    source = table.collect(names).open(names).source
    tables = [table for block in range(len(source.blocks)) for table in source.read(block, names)]
    values = {
        name: _decoded(source.fields[name], np.concatenate([table[name] for table in tables]))
        for name in names
    }
    keys, group = _keys(by, values[by])
    for key in keys[-1:]:  # The largest.
        _key(key, None)
    order = np.argsort(group, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    fed = {name: values[name] for name in sorted(used)}
    index = table.row_labels(names)

    def pairs() -> Iterator[tuple[Key, Any]]:
        for key, rows in zip(keys.tolist(), pieces, strict=True):
            held = {name: array[rows] for name, array in fed.items()}
            yield (
                key,
                NamedColumns(
                    tuple(held), table.description, held, None if index is None else index[rows]
                ),
            )

    return DataSets(pairs(), len(keys), next(pairs(), (None, None))[1])


def _decoded(field: Field, array: NDArray[Any]) -> NDArray[Any]:
    """Return text in the place of its codes, None where it is missing."""
    if field.categories is None:
        return array
    texts: NDArray[Any] = np.array([*field.categories, None], dtype=object)
    found: NDArray[Any] = texts[array]
    return found


def _keys(by: str, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sorted keys, and for each row the number of its key."""
    if values.dtype.kind not in "iuO":
        raise TypeError(
            f"`by` must name a column of text or whole numbers without missing values, got "
            f"{values.dtype} in {by!r}.\nHint: make text of it, or drop the rows without a key."
        )
    if values.dtype == object:
        lacking = int(sum(value is None for value in values))
        if lacking:
            raise ValueError(
                f"`by` must name a column without missing values, got {lacking} in {by!r}.\n"
                "Hint: drop the rows without a key, or fill it in."
            )
    keys, group = np.unique(
        values.astype(str) if values.dtype == object else values, return_inverse=True
    )
    return keys, group
