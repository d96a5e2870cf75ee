"""The data sets of a call by their keys: the argument `datasets`, read one data set at a time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayou.containers.reading.column_matching import require_table
from bayou.many.data_sets.by_column import group_rows
from bayou.sources.kinds import named_columns
from bayou.text import type_text

if TYPE_CHECKING:
    import pymc as pm

    from bayou.many.data_sets.by_column import GroupedTable
    from bayou.many.results.outcome import Key
    from bayou.sources.base.named_columns import NamedColumns


@dataclass(frozen=True, eq=False)
class DataSets:
    """Data sets by their keys.

    Attributes
    ----------
    pairs : iterable of (key, new data)
        For each key what :func:`bayou.set_data` takes, or the exception that reading it raised. It
        is read while it is iterated over.
    number : int or None
        The number of data sets, None if it is not known before they are read.
    first : object
        The new data of the smallest key, None if their number is not known.
    in_memory : collection
        The new data of all data sets, if they are in memory; else empty.

    Raises
    ------
    ValueError
        If there is no data set.
    """

    pairs: Iterable[tuple[object, object]]
    number: int | None
    first: object = None
    in_memory: Collection[object] = ()

    def __post_init__(self) -> None:
        if self.number == 0:
            raise ValueError(
                "`datasets` must hold at least one data set, got none.\n"
                "Hint: check the code that collects them."
            )

    def __iter__(self) -> Iterator[tuple[Key, object]]:
        """Yield keys, all of one type, with new data or an exception."""
        last: Key | None = None
        for key, new_data in self.pairs:
            last = check_key(key, last)
            yield last, new_data


def read_data_sets(model: pm.Model, datasets: object, by: str | None) -> DataSets:
    """Read the argument `datasets` of a public call.

    Parameters
    ----------
    model : pymc.Model
        The model whose containers have new data.
    datasets : mapping, iterable or table
        Of keys to new data; of new data, whose keys are 0, 1, ...; or, with `by`, of rows.
    by : str or None
        The column of a table that has the keys.

    Raises
    ------
    TypeError
        If `datasets` is none of these, or the keys are neither strings nor whole numbers.
    ValueError
        If columns are missing, a key is missing, or there is no data set.
    """
    if by is not None:
        return _of_groups(group_rows(model, _check_table(datasets, by), by))
    if isinstance(datasets, pd.Series) and datasets.dtype == object:
        return _of_series(datasets)
    if isinstance(datasets, Mapping):
        return _of_mapping(datasets)
    if not isinstance(datasets, str | bytes) and is_table(datasets):
        raise TypeError(
            f"`datasets` must come with `by=` if it is a table, got {type_text(datasets)} "
            "alone.\n"
            "Hint: name the column whose values identify the data sets, such as by='shop'."
        )
    if isinstance(datasets, Iterable) and not isinstance(datasets, str | bytes | np.ndarray):
        return _of_iterable(datasets)
    raise TypeError(
        "`datasets` must be a mapping of keys to data, an iterable of data, or a table, got "
        f"{type_text(datasets)}.\nHint: pass [{{'x': values}}, {{'x': more_values}}]."
    )


def is_table(data: object) -> bool:
    """Return whether data have named columns; a function is none, whatever it returns."""
    return not callable(data) and named_columns(data) is not None


def check_key(key: Any, previous: Key | None = None) -> Key:
    """Return a key as a string or an int.

    Raises
    ------
    TypeError
        If it is neither, or of another type than the key before it.
    ValueError
        If it is a whole number that int64 cannot hold.
    """
    if isinstance(key, np.generic):
        return check_key(key.item(), previous)
    if type(key) not in (str, int) or (previous is not None and type(key) is not type(previous)):
        after = "" if previous is None else f" after {type_text(previous)}"
        raise TypeError(
            f"`datasets` must have keys that are all strings or all whole numbers, got "
            f"{key!r}{after}.\nHint: convert them to strings, which label the results."
        )
    if isinstance(key, int) and not -(2**63) <= key < 2**63:
        raise ValueError(
            f"`datasets` must have keys that int64 can hold, or strings, got {key}.\n"
            "Hint: convert all of them to strings."
        )
    return key  # type: ignore[no-any-return]


def _check_table(datasets: object, by: object) -> NamedColumns:
    if isinstance(by, list | tuple | set | np.ndarray):
        raise TypeError(
            f"`by` must be the name of one column, got {by!r}.\n"
            "Hint: make one column of keys of them, and pass its name."
        )
    first = next(iter(datasets.values()), None) if isinstance(datasets, Mapping) else None
    # A Series is a column of a table; a mapping to tables or to mappings is one to data sets.
    table = named_columns(first) if first is not None and not callable(first) else None
    if table is not None and not table.is_series:
        raise TypeError(
            f"`datasets` with `by` must be a table, got a mapping of keys to data and by={by!r}.\n"
            "Hint: leave out `by`: the keys of the mapping identify the data sets."
        )
    return require_table(datasets, "`datasets` with `by`")


def _of_groups(table: GroupedTable) -> DataSets:
    """Return the data sets of the groups of a table."""
    for key in table.keys[-1:]:  # The largest.
        check_key(key)
    _, first = next(iter(table), (None, None))
    return DataSets(table, len(table.keys), first)


def _of_series(datasets: pd.Series) -> DataSets:
    """Return the data sets of a Series by its index."""
    if not datasets.index.is_unique:
        repeated = datasets.index[datasets.index.duplicated()][0]
        raise ValueError(
            f"`datasets` must have each key once, got {repeated!r} twice in the index.\n"
            "Hint: reset the index, or make the keys unique."
        )
    return _of_mapping(dict(zip(datasets.index.tolist(), datasets.tolist(), strict=True)))


def _of_mapping(datasets: Mapping[Any, object]) -> DataSets:
    """Return the data sets of a mapping, whose values may be read from somewhere one by one."""
    _check_keys(datasets)  # A wrong key is an error before any value is read.
    smallest = min(datasets, default=None)
    first = None if smallest is None else _value_or_error(datasets, smallest)
    # Of a mapping that is no dict, reading a value may be slow, so that only one is checked here.
    in_memory = isinstance(datasets, dict)
    for key in datasets if in_memory or smallest is None else [smallest]:
        data = datasets[key] if in_memory else first
        _check_new_data(data, "map keys to the data of each", f" for {key!r}")
    pairs = ((key, _value_or_error(datasets, key)) for key in datasets)
    return DataSets(pairs, len(datasets), first, datasets.values() if in_memory else ())


def _of_iterable(datasets: Iterable[object]) -> DataSets:
    """Return the data sets of an iterable, whose keys are their numbers."""
    number = len(datasets) if isinstance(datasets, Sized) else None
    # An iterator would lose the item that is looked at.
    is_repeatable = bool(number) and not isinstance(datasets, Iterator)
    first = next(iter(datasets), None) if is_repeatable else None
    if is_repeatable:
        _check_new_data(first, "hold the data of each", " as the first")
    in_memory = datasets if isinstance(datasets, list | tuple) else ()
    return DataSets(_numbered(datasets), number, first, in_memory)


def _check_keys(keys: Iterable[object]) -> None:
    """Check that all keys can label results, and are of one type."""
    functools.reduce(lambda previous, key: check_key(key, previous), keys, None)


def _value_or_error(datasets: Mapping[Any, object], key: object) -> object:
    """Return the value of a key, or the exception that reading it raises."""
    try:
        return datasets[key]
    except Exception as error:
        return error


def _numbered(datasets: Iterable[object]) -> Iterator[tuple[int, object]]:
    """Yield the items of an iterable and their numbers, which errors of the iterable name."""
    datasets = iter(datasets)
    for number in itertools.count():
        try:
            item = next(datasets)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(
                f"`datasets` raised this instead of item {number}.\n"
                "Hint: with `out=`, the results of the items before it are kept, and the same call "
                "goes on from there."
            )
            raise
        if number == 0:
            _check_new_data(item, "hold the data of each", " as the first")
        yield number, item


def _check_new_data(data: object, rule: str, which: str) -> None:
    """Check that a value can be new data; an exception stands for data that could not be read."""
    if isinstance(data, Exception | Mapping) or is_table(data):
        return
    hint = "pass {'first': {'x': values}}; for a table with a column of keys, `by=`."
    if (
        isinstance(data, tuple)
        and len(data) == 2
        and (isinstance(data[1], Mapping) or is_table(data[1]))
    ):
        hint = "pass dict(datasets) if its items are pairs of keys and data."
    elif callable(data):
        hint = "data sets are mappings, {'x': values}, or tables: pass what the function returns."
    raise TypeError(f"`datasets` must {rule}, got {type_text(data)}{which}.\nHint: {hint}")
