"""The source of a function that returns an iterator of rows, or of blocks of rows.

Each pass over the rows calls the function again. Rows are collected in pieces of some thousands,
which costs some microseconds a value beside the time of the function itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import batched, count
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import whole_number
from bayou.sources.base.field import choose_fields
from bayou.sources.base.nulls import complete_rows, without_nulls
from bayou.sources.base.source import Source
from bayou.sources.in_memory.array import array_column, check_names, empty_error
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.nulls import Masked, Nulls

# Rows that are collected before they become arrays.
PIECE_ROWS = 4096

type Item = Mapping[str, Any]
"""Field name -> the value of one row, or the values of several."""


class GeneratorSource(Source):
    """The rows of the items that a function's iterator yields, as one block.

    Parameters
    ----------
    make : callable
        Function that returns a new iterator at each call, of the same items. An item is a dict of
        field name to value. It is a row if one of its values is a number or a text, else a block
        of rows, whose values are arrays with the rows on the first axis. (Yield a row of vectors
        alone as a block of one row.) The first item gives the fields, and whether items are rows.
    num_rows : int, optional
        The number of rows, without those that are dropped. It is checked in each pass. By default
        the number is not known.
    nulls : {"refuse", "drop"}, default "refuse"
        Make None and masked values an error, or leave out and count the rows that have one.

    Raises
    ------
    TypeError
        If the function does not return an iterator of dicts.
    ValueError
        If it returns the same iterator again, if there are no items, or if `num_rows` is not a
        number of at least 1.
    RuntimeError
        If the function or its iterator raises. The error has the number of the item.
    """

    def __init__(
        self,
        make: Callable[[], Iterable[Item]],
        *,
        num_rows: int | None = None,
        nulls: Nulls = "refuse",
    ) -> None:
        if num_rows is not None:
            hint = "leave it out where the number is unknown."
            num_rows = whole_number("num_rows", num_rows, 1, hint)
        self._make = make
        self._nulls = nulls
        self._num_rows = num_rows
        # The number that each pass must have: of the user, else of the first complete pass.
        self._rows_seen = num_rows
        self._num_dropped = None if nulls == "drop" else 0
        if iter(make()) is iter(make()):
            raise ValueError(
                "`make` must return a new iterator each time, got the same one twice.\n"
                "Hint: pass the generator function itself, not what it returns."
            )
        self._fields, self._has_rows = self._read_first()

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, by the first item."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """One block, since an iterator yields its items in their order only."""
        return (self._num_rows,)

    @property
    def num_dropped(self) -> int | None:
        """The number of rows left out because of nulls, None before the end of the first pass."""
        return self._num_dropped

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Call the function, and yield the rows of its items in pieces.

        Raises
        ------
        RuntimeError
            If the function or its iterator raises.
        ValueError
            If an item has other fields than the first, or a field of another dtype or shape, or a
            null that is refused; or if the number of rows is another than before. The error has the
            number of the item.
        """
        fields = choose_fields(self._fields, names)
        pieces: list[Table] = []
        num_rows = num_dropped = piece_rows = number = 0
        for number, columns in self._groups():
            complete = self._complete_rows(number, columns, num_rows + num_dropped)
            num_complete = int(complete.sum())
            num_dropped += len(complete) - num_complete
            num_rows += num_complete
            self._check_count(num_rows, number, more=True)
            if num_complete:
                pieces.append({name: columns[name][1][0][complete] for name in names})
                piece_rows += num_complete
            if piece_rows >= PIECE_ROWS:
                yield _join(pieces, fields)
                pieces, piece_rows = [], 0
        if pieces:
            yield _join(pieces, fields)
        self._check_count(num_rows, number, more=False)
        self._rows_seen = num_rows
        self._num_dropped = num_dropped

    def _items(self) -> Iterator[tuple[int, Item]]:
        items = iter(self._make())
        for number in count():
            try:
                item = next(items)
            except StopIteration:
                return
            except Exception as error:
                raise RuntimeError(
                    f"`make` must yield all of its items, got {type(error).__name__} at item "
                    f"{number}: {error}\n"
                    "Hint: items are numbered from 0; the error of `make` is shown above."
                ) from error
            if not isinstance(item, Mapping):
                raise TypeError(
                    f"`make` must yield dicts of field name to value, got {type(item).__name__} "
                    f"at item {number}.\n"
                    'Hint: yield {"x": 1.5, "y": 0} for a row, or arrays for a block of rows.'
                )
            yield number, item

    def _groups(self) -> Iterator[tuple[int, dict[str, tuple[Field, Masked]]]]:
        """Yield the columns of each block or of many rows, with the number of the last item."""
        if not self._has_rows:
            yield from ((number, self._columns(number, item)) for number, item in self._items())
            return
        for numbered in batched(self._items(), PIECE_ROWS):
            columns = self._columns_of_rows([item for _, item in numbered])
            if columns is not None:
                yield numbered[-1][0], columns
            else:
                yield from ((number, self._columns(number, item)) for number, item in numbered)

    def _columns_of_rows(self, rows: Sequence[Item]) -> dict[str, tuple[Field, Masked]] | None:
        """Return the columns of many rows at once, None if they have to be taken one by one.

        That is so if they differ in type, or if one is wrong: then the error is to name it.
        """
        if any(row.keys() != self._fields.keys() for row in rows):
            return None
        columns = {}
        for name, field in self._fields.items():
            values = [row[name] for row in rows]
            if len({_kind(value) for value in values}) > 1 or np.ma.isMA(values[0]):
                return None
            try:
                columns[name] = array_column(name, values)
            except (TypeError, ValueError):
                return None
            if columns[name][0] != field:
                return None
        return columns

    def _read_first(self) -> tuple[dict[str, Field], bool]:
        """Return the fields of the first item with a complete row, and whether items are rows."""
        for number, item in self._items():
            check_names(list(item))
            if not item:
                raise empty_error("no fields")
            has_rows = any(np.ndim(value) == 0 for value in item.values())
            columns = _columns(number, item, has_rows)
            # A column of nulls alone has no dtype yet.
            if self._complete_rows(number, columns, 0).any():
                return {name: field for name, (field, _) in columns.items()}, has_rows
        raise empty_error("no rows")

    def _columns(self, number: int, item: Item) -> dict[str, tuple[Field, Masked]]:
        """Return the columns of an item that has the fields of the first."""
        if item.keys() != self._fields.keys():
            raise ValueError(
                f"`make` must yield the fields {listed(self._fields)} in each item, got "
                f"{listed(list(item))} at item {number}.\nHint: yield the same names each time."
            )
        columns = _columns(number, item, self._has_rows)
        for name, expected in self._fields.items():
            field, (values, null) = columns[name]
            # A whole number has no dtype of its own among floats.
            if self._has_rows and field.dtype.kind == "i" and expected.dtype.kind == "f":
                floats = values.astype(expected.dtype)
                if (floats.astype(field.dtype) == values).all():
                    columns[name] = expected, (floats, null)
                    continue
            # A column of nulls alone has no dtype to compare.
            if field != expected and not (null is not None and null.all()):
                raise ValueError(
                    f"`make` must yield `{name}` as in its first item, {_describe(expected)}, "
                    f"got {_describe(field)} at item {number}.\n"
                    "Hint: yield arrays of one dtype and shape, for example with numpy.asarray."
                )
        return columns

    def _complete_rows(
        self, number: int, columns: Mapping[str, tuple[Field, Masked]], start: int
    ) -> NDArray[np.bool_]:
        """Return which rows of an item have no null, shape (rows,); raise if nulls are refused."""
        lengths = {name: len(values) for name, (_, (values, _)) in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "`make` must yield blocks whose fields have the same number of rows, got "
                f"{lengths} at item {number}.\n"
                "Hint: the first axis is the row; yield a row of vectors as a block of one row."
            )
        if self._nulls == "refuse":
            for name, (_, masked) in columns.items():
                without_nulls(name, masked, start, f"item {number}")
        nulls = [null for _, (_, null) in columns.values()]
        return complete_rows(nulls, next(iter(lengths.values()), 0))

    def _check_count(self, rows: int, number: int, *, more: bool) -> None:
        """Check the number of rows up to an item; `more` says whether others may follow."""
        expected = self._rows_seen
        if expected is None or (rows <= expected if more else rows == expected):
            return
        origin = "given by `num_rows`" if self._num_rows is not None else "in the first pass"
        raise ValueError(
            f"`make` must yield {expected} rows, the number {origin}, got {rows} "
            f"{'up to' if more else 'and its end after'} item {number}.\n"
            "Hint: it must yield the same items each time it is called."
        )


def _columns(number: int, item: Item, is_row: bool) -> dict[str, tuple[Field, Masked]]:
    """Return the columns of an item."""
    if is_row:
        item = {name: _as_block(value) for name, value in item.items()}
    try:
        return {name: array_column(name, value) for name, value in item.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`make` must yield values that form an array, at item {number}: {error}"
        ) from error


def _kind(value: object) -> tuple[type, object, object]:
    """Return the kind of a value: NumPy joins values of one kind into an array, unchanged."""
    return type(value), getattr(value, "dtype", None), getattr(value, "shape", None)


def _as_block(value: object) -> NDArray[Any] | list[object]:
    """Return the value of a row as the values of a block of one row."""
    if isinstance(value, np.ndarray) and value.ndim:
        return value[None]
    return [None if value is np.ma.masked else value]


def _join(pieces: Sequence[Table], fields: Sequence[Field]) -> Table:
    return {
        field.name: np.concatenate([piece[field.name] for piece in pieces]).astype(
            field.dtype, copy=False
        )
        for field in fields
    }


def _describe(field: Field) -> str:
    return f"{field.dtype} of shape {field.shape} a row"
