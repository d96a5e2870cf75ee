"""Many data sets for one model: by key, one after another, or as the groups of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.columns import columns_of, table_of
from bayou.sources.named import Named, named
from bayou.sources.source import listed

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.sources.source import Field

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
    """

    pairs: Iterable[tuple[Key, Any]]
    number: int | None
    first: Any = None

    def __iter__(self) -> Iterator[tuple[Key, Any]]:
        """Yield keys, of one type, with data."""
        kind: type | None = None
        for given, new_data in self.pairs:
            key = given.item() if isinstance(given, np.generic) else given
            if type(key) not in (str, int) or (kind is not None and type(key) is not kind):
                raise TypeError(
                    f"`datasets` must have keys that are all strings or all whole numbers, got "
                    f"{given!r}{'' if kind is None else f' after a {kind.__name__}'}.\n"
                    "Hint: make strings of them; they become the coords of the results."
                )
            kind = type(key)
            yield key, new_data


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
        return _groups(model, table_of(datasets, "`datasets` with `by`"), by)
    if isinstance(datasets, Mapping):
        wrong = next((key for key, value in datasets.items() if not _feeds(value)), None)
        if wrong is not None:
            raise TypeError(
                "`datasets` must map keys to the data of each, got "
                f"a {type(datasets[wrong]).__name__} for {wrong!r}.\n"
                "Hint: pass {'first': {'x': values}}; for a table with a column of keys, `by=`."
            )
        keys = DataSets(((key, None) for key in datasets), None)
        least = min((key for key, _ in keys), default=None)  # A wrong key is met before all else.
        found = DataSets(datasets.items(), len(datasets), datasets.get(least))
    elif not isinstance(datasets, str | bytes) and named(datasets) is not None:
        raise TypeError(
            f"`datasets` must come with `by=` where it is a table, got a "
            f"{type(datasets).__name__} alone.\n"
            "Hint: name the column whose values tell the data sets apart, such as by='shop'."
        )
    elif isinstance(datasets, Iterable) and not isinstance(datasets, str | bytes | np.ndarray):
        number = len(datasets) if isinstance(datasets, Sized) else None
        again = number and not isinstance(datasets, Iterator)
        first = next(iter(datasets), None) if again else None
        found = DataSets(enumerate(datasets), number, first)
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
    return isinstance(value, Mapping) or named(value) is not None


def _groups(model: pm.Model, table: Named, by: str) -> DataSets:
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
    source = table.collected(names).open(names).source
    tables = [table for block in range(len(source.blocks)) for table in source.read(block, names)]
    values = {
        name: _decoded(source.fields[name], np.concatenate([table[name] for table in tables]))
        for name in names
    }
    keys, group = _keys(by, values[by])
    order = np.argsort(group, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    fed = {name: values[name] for name in sorted(used)}

    def pairs() -> Iterator[tuple[Key, Any]]:
        for key, rows in zip(keys.tolist(), pieces, strict=True):
            held = {name: array[rows] for name, array in fed.items()}
            yield key, Named(tuple(held), table.words, held)

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
