"""The columns that files have in common: matched by name, of one type each, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import types

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.data_file import DataFile


def common_types(files: Sequence[DataFile], columns: Sequence[str] | None) -> dict[str, Any]:
    """Return the Arrow type of each column that is wanted, those of folders' names included.

    Parameters
    ----------
    files : sequence of DataFile
        The files; their columns may be in any order.
    columns : sequence of str, optional
        The columns that are wanted; by default all.

    Raises
    ------
    ValueError
        If a file lacks a column, or has another one or one twice.
    TypeError
        If a column is of another type in a file, or of a type without a dtype of NumPy's.
    """
    keys = key_types(files)
    first, *others = ((data, _columns_of(data, keys)) for data in files)
    if columns is not None:
        _check_columns(columns, first[1])
    wanted = [name for name in first[1] if columns is None or name in columns]
    for other in others:
        extra = [name for name in other[1] if columns is None and name not in first[1]]
        missing = [name for name in wanted if name not in other[1]]
        for name, has, lacks in [
            *((name, first, other) for name in missing),
            *((name, other, first) for name in extra),
        ]:
            raise ValueError(
                f"Every file must hold the same columns, got `{name}` ({has[1][name]}) in "
                f"{has[0].file.path}, not in {lacks[0].file.path}.\n"
                "Hint: name the columns that all files hold with `columns`."
            )
        for name in wanted:
            _check_type(name, first, other)
    for name in wanted:
        _check_decimal(name, first[1][name])
    return {name: first[1][name] for name in wanted}


def key_types(files: Sequence[DataFile]) -> dict[str, Any]:
    """Return the types of the columns that folders' names hold: whole numbers, or categories."""
    texts: dict[str, list[str]] = {}
    for data in files:
        for name, text in data.file.keys:
            texts.setdefault(name, []).extend([] if text is None else [text])
    return {
        name: pa.int64() if all(map(_is_whole, found)) else pa.dictionary(pa.int32(), pa.string())
        for name, found in texts.items()
    }


def key_values(text: str | None, kind: Any, num_rows: int) -> Any:
    """Return what a folder's name holds as an Arrow array for the rows of its files."""
    if types.is_dictionary(kind):
        codes = pa.repeat(pa.scalar(None if text is None else 0, pa.int32()), num_rows)
        table = pa.array([] if text is None else [text], pa.string())
        return pa.DictionaryArray.from_arrays(codes, table)
    return pa.repeat(pa.scalar(None if text is None else int(text), kind), num_rows)


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 18


def _columns_of(data: DataFile, keys: dict[str, Any]) -> dict[str, Any]:
    """Return the types of a file's columns, in a form that is the same where the values are."""
    named = [name for name, _ in data.file.keys]
    names = [*data.schema.names, *named]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        hint = (
            "rename the folders, or pass the files themselves, whose folders' names are not read"
            if twice[0] in named
            else "rename the columns where the file is written"
        )
        raise ValueError(
            f"The columns of a file must have names of their own, got `{twice[0]}` twice in "
            f"{data.file.path}.\nHint: {hint}."
        )
    stored = {field.name: _plain(field.type) for field in data.schema}
    return {**stored, **{name: keys[name] for name in named}}


def _plain(kind: Any) -> Any:
    """Return a type without what only says how values are stored: widths of text and of codes."""
    if types.is_dictionary(kind):
        return pa.dictionary(pa.int32(), _plain(kind.value_type), ordered=kind.ordered)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type), kind.list_size)
    return kind


type _Found = tuple[DataFile, dict[str, Any]]


def _check_columns(columns: Sequence[str], known: dict[str, Any]) -> None:
    if isinstance(columns, str) or not columns:
        raise ValueError(
            f"`columns` must list names of columns, at least one, got {columns!r}.\n"
            f'Hint: columns=["x", "y"]; the columns are {listed(known)}.'
        )
    for place, name in enumerate(columns):
        if name not in known:
            raise ValueError(
                f"`columns` must be columns of the files, got {name!r}.\n"
                f"Hint: the columns are {listed(known)}."
            )
        if name in columns[:place]:
            raise ValueError(
                f"`columns` must name a column once, got {name!r} twice.\n"
                "Hint: leave one of them out."
            )


def _check_type(name: str, first: _Found, other: _Found) -> None:
    if first[1][name] != other[1][name]:
        raise TypeError(
            f"`{name}` must be of one type in all files, got {first[1][name]} in "
            f"{first[0].file.path} and {other[1][name]} in {other[0].file.path}.\n"
            "Hint: write the files anew with one type, or leave the column out with `columns`."
        )


def _check_decimal(name: str, kind: Any) -> None:
    if any(map(types.is_decimal, _parts(kind))):
        raise TypeError(
            f"`{name}` must be of a type that NumPy has, got {kind}.\n"
            "Hint: write it as a double or as an integer of its smallest unit, or leave it out "
            "with `columns`."
        )


def _parts(kind: Any) -> Iterator[Any]:
    """Yield a type and the types within it."""
    yield kind
    if types.is_dictionary(kind) or types.is_fixed_size_list(kind):
        yield from _parts(kind.value_type)


def merge_categories(name: str, tables: Sequence[tuple[str, ...]], ordered: bool) -> list[str]:
    """Return one table of categories for several that were found, file after file.

    Parameters
    ----------
    name : str
        The column.
    tables : sequence of tuple of str
        What was found.
    ordered : bool
        Whether the order of the categories means something. If so, the longest table has to hold
        the others in their order; else new categories are appended.

    Raises
    ------
    ValueError
        If the order of some categories is not clear.

    Examples
    --------
    >>> merge_categories("carrier", [("AA", "UA"), ("DL", "AA")], ordered=False)
    ['AA', 'UA', 'DL']
    """
    if not ordered:
        return list(dict.fromkeys(word for table in tables for word in table))
    longest = max(tables, key=len, default=())
    place = {word: number for number, word in enumerate(longest)}
    for table in tables:
        places = [place.get(word, -1) for word in table]
        if -1 in places or places != sorted(places):
            raise ValueError(
                f"`{name}` is ordered, so its categories must be in one order in all files, got "
                f"{listed(table)} and {listed(longest)}.\n"
                "Hint: write the files with the same list of categories."
            )
    return list(longest)
