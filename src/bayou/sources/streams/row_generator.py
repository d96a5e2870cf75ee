"""A function that returns a fresh iterator of rows or of blocks: each pass over them is a new one.

Rows are collected in pieces of some thousands, for a few microseconds a value beside what the
function takes.
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

PIECE_ROWS = 4096

# Field name -> value of a row, or values of several.
type Item = Mapping[str, Any]


class GeneratorSource(Source):
    """What a function yields, item by item: rows or blocks of them, in one block.

    Parameters
    ----------
    make : callable
        Returns a new iterator each time, with the same items. An item is a dict of field name to
        value. Where each value has an axis, of one length, the item is a block of so many rows;
        where a value is a number or a text, it is a row. (A row of vectors alone is to be
        yielded as a block of one row.) The first item decides, and says the fields.
    num_rows : int, optional
        How many rows there are, nulls left out where they are dropped; checked at each pass. If
        left out, the number is unknown.
    nulls : {"refuse", "drop"}, optional
        Make None and masked values an error (the default), or leave out the rows that have one.

    Raises
    ------
    TypeError
        If it returns no iterator of dicts.
    ValueError
        If it returns the same iterator again, if there are no items, or if `num_rows` is none.
    RuntimeError
        If it raises, with the number of the item.
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
        # Of the first whole pass, which every other one must equal.
        self._rows_seen = num_rows
        self._num_dropped = None if nulls == "drop" else 0
        if iter(make()) is iter(make()):
            raise ValueError(
                "`make` must return a new iterator each time, got the same one twice.\n"
                "Hint: pass the generator function itself, not what it returns."
            )
        self._fields, self._has_rows = self._first()

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, as the first item has them."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """One: what an iterator yields can only be had in its order."""
        return (self._num_rows,)

    @property
    def num_dropped(self) -> int | None:
        """The rows left out for their nulls; None until a pass has come to its end."""
        return self._num_dropped

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Call the function, and yield what it yields, in pieces.

        Raises
        ------
        RuntimeError
            If it raises.
        ValueError
            If an item has other fields than the first, of another dtype or shape, or a null that is
            refused, or if the number of rows is not what it was. Each with the number of the item.
        """
        fields = choose_fields(self._fields, names)
        pieces: list[Table] = []
        held = rows = dropped = number = 0
        for number, columns in self._groups():
            complete = self._complete(number, columns, rows + dropped)
            kept = int(complete.sum())
            dropped += len(complete) - kept
            rows += kept
            self._check_count(rows, number, more=True)
            if kept:
                pieces.append({name: columns[name][1][0][complete] for name in names})
                held += kept
            if held >= PIECE_ROWS:
                yield _joined(pieces, fields)
                pieces, held = [], 0
        if pieces:
            yield _joined(pieces, fields)
        self._check_count(rows, number, more=False)
        self._rows_seen = rows
        self._num_dropped = dropped

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
                    "Hint: items are numbered from 0; what was raised is shown above."
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
            rows = [item for _, item in numbered]
            together = self._together(rows)
            if together is not None:
                yield numbered[-1][0], together
            else:
                yield from ((number, self._columns(number, item)) for number, item in numbered)

    def _together(self, rows: Sequence[Item]) -> dict[str, tuple[Field, Masked]] | None:
        """Return the columns of rows that are all alike, and like the first; None if not."""
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

    def _first(self) -> tuple[dict[str, Field], bool]:
        """Return the fields of the first item with a row to keep, and whether items are rows."""
        for number, item in self._items():
            check_names(list(item))
            if not item:
                raise empty_error("no fields")
            has_rows = any(np.ndim(value) == 0 for value in item.values())
            columns = _columns(number, item, has_rows)
            if self._complete(number, columns, 0).any():
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
            field, (_, null) = columns[name]
            # Nothing but nulls has no dtype.
            if field != expected and not (null is not None and null.all()):
                raise ValueError(
                    f"`make` must yield `{name}` as in its first item, {_described(expected)}, "
                    f"got {_described(field)} at item {number}.\n"
                    "Hint: yield arrays of one dtype and shape, for example with numpy.asarray."
                )
        return columns

    def _complete(
        self, number: int, columns: Mapping[str, tuple[Field, Masked]], start: int
    ) -> NDArray[np.bool_]:
        """Return which rows of an item have no null, if any may have one."""
        lengths = {name: len(values) for name, (_, (values, _)) in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "`make` must yield blocks whose fields have one number of rows, got "
                f"{lengths} at item {number}.\n"
                "Hint: the first axis is the row; yield a row of vectors as a block of one row."
            )
        if self._nulls == "refuse":
            for name, (_, masked) in columns.items():
                without_nulls(name, masked, start, f"item {number}")
        nulls = [null for _, (_, null) in columns.values()]
        return complete_rows(nulls, next(iter(lengths.values()), 0))

    def _check_count(self, rows: int, number: int, *, more: bool) -> None:
        expected = self._rows_seen
        if expected is None or (rows <= expected if more else rows == expected):
            return
        said = "said by `num_rows`" if self._num_rows is not None else "in the first pass"
        raise ValueError(
            f"`make` must yield {expected} rows, the number {said}, got {rows} "
            f"{'up to' if more else 'and its end after'} item {number}.\n"
            "Hint: it must yield the same items each time it is called."
        )


def _columns(number: int, item: Item, is_row: bool) -> dict[str, tuple[Field, Masked]]:
    if is_row:
        item = {name: _as_block(value) for name, value in item.items()}
    try:
        return {name: array_column(name, value) for name, value in item.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`make` must yield what fits an array, at item {number}: {error}"
        ) from error


def _kind(value: Any) -> tuple[type, Any, Any]:
    return type(value), getattr(value, "dtype", None), getattr(value, "shape", None)


def _as_block(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return value[None]
    return [None if value is np.ma.masked else value]


def _joined(pieces: Sequence[Table], fields: Sequence[Field]) -> Table:
    return {
        field.name: np.concatenate([piece[field.name] for piece in pieces]).astype(
            field.dtype, copy=False
        )
        for field in fields
    }


def _described(field: Field) -> str:
    return f"{field.dtype} of shape {field.shape} a row"
