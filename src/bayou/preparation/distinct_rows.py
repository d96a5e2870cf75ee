"""The distinct rows of a source, each with the number of its rows, found in one pass.

Rows are grouped by Arrow's hash aggregation, piece by piece: the groups of a piece join those so
far. Two rows are the same if all of their bits are, so that NaN equals itself and 0.0 is not -0.0.
Memory depends on the number of distinct rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table

# Rows that are grouped at once. With 200,000 distinct rows among 10**7 of three fields, pieces of
# 2**20 rows take 1.6 times as long as all rows at once, pieces of 2**17 3.5 times.
PIECE_ROWS = 2**20
# So many possible rows are counted without a hash table: 32 MiB of numbers.
LEAST_DENSE, MOST_DENSE = 2**12, 2**22
# Bytes that a distinct row takes beside its values while groups are joined: its count, its place
# in the hash table and the copy that is sorted.
GROUP_BYTES = 64
COUNT = "count"
MOMENTS = ("mean", "variance")


class RepetitionError(ValueError):
    """Rows that repeat too seldom for their distinct ones to be held in memory.

    Attributes
    ----------
    ratio : str
        How many of the rows so far differ: a clause without a full stop.
    """

    ratio: str = ""


@dataclass(frozen=True)
class Layout:
    """The words that the rows of some fields are compared by.

    Attributes
    ----------
    fields : tuple of Field
        The fields, none of them of objects.
    counted : Field or None
        A field of numbers that are added up, in place of the number of rows.
    """

    fields: tuple[Field, ...]
    counted: Field | None

    @property
    def names(self) -> list[str]:
        """The fields that are read."""
        names = [field.name for field in self.fields]
        return names if self.counted is None else [*names, self.counted.name]

    @property
    def row_bytes(self) -> int:
        """The bytes that a distinct row takes in memory."""
        return sum(field.row_bytes for field in self.fields) * 2 + GROUP_BYTES

    @property
    def is_exact(self) -> bool:
        """Whether counts are whole numbers, whose sum does not depend on an order."""
        return self.counted is None or self.counted.dtype.kind in "biu"

    def words(self, table: Table) -> list[NDArray[np.unsignedinteger]]:
        """Return the rows of a table as columns of unsigned integers of the same bits."""
        return list(chain.from_iterable(_words(table[field.name], field) for field in self.fields))

    def values(self, words: Sequence[NDArray[np.unsignedinteger]]) -> Table:
        """Return the rows that columns of words stand for, by field."""
        table: Table = {}
        rest = iter(words)
        for field in self.fields:
            columns = [next(rest) for _ in range(field.row_bytes // _word(field).itemsize)]
            stacked = np.stack(columns, axis=1) if len(columns) != 1 else columns[0]
            values = np.ascontiguousarray(stacked).view(field.dtype)
            table[field.name] = values.reshape(len(stacked), *field.shape)
        return table


def _word(field: Field) -> np.dtype[np.unsignedinteger]:
    """Return the unsigned integer that the values of a field are cut into."""
    size = next(size for size in (8, 4, 2, 1) if field.dtype.itemsize % size == 0)
    return np.dtype(f"u{size}")


def _words(values: NDArray[np.generic], field: Field) -> list[NDArray[np.unsignedinteger]]:
    flat = np.ascontiguousarray(values.astype(field.dtype, copy=False)).reshape(len(values), -1)
    words = flat.view(_word(field))
    return [words[:, column] for column in range(words.shape[1])]


def group_rows(
    tables: Iterator[Table], layout: Layout, memory: int, advance: Callable[[int], None]
) -> tuple[Table, NDArray[np.int64] | NDArray[np.float64]]:
    """Return the distinct rows of tables, in the order of their values, and their counts.

    Parameters
    ----------
    tables : iterator of dict of str to ndarray, shapes (rows, *field.shape)
        Consecutive rows.
    layout : Layout
        The fields.
    memory : int
        The largest number of bytes that the distinct rows may take.
    advance : callable
        It is called with the number of rows of each piece.

    Returns
    -------
    dict of str to ndarray, shapes (groups, *field.shape)
        The distinct rows.
    ndarray of int64, or of float64 if the counted field is of floats, shape (groups,)
        The number of rows of each, or the sum of the counted field.

    Raises
    ------
    RepetitionError
        If there are more distinct rows than the memory holds.
    """
    most = max(1, memory // layout.row_bytes)
    # The groups so far, then those of the pieces that have not joined them yet.
    groups: list[pa.Table] = []
    num_rows = 0
    for piece in _pieces(tables, layout):
        num_rows += len(piece)
        groups.append(_grouped(piece, layout))
        num_new = sum(len(group) for group in groups[1:])
        if num_new > max(PIECE_ROWS, len(groups[0])) or num_new + len(groups[0]) > most:
            groups = [_grouped(pa.concat_tables(groups), layout)]
        if len(groups[0]) > most:
            raise _repetition_error(memory, most, f"{len(groups[0]):,} of the first {num_rows:,}")
        advance(len(piece))
    grouped = _grouped(pa.concat_tables(groups), layout)
    columns = [column.to_numpy() for column in grouped.columns]
    values, counts = layout.values(columns[:-1]), columns[-1]
    order = value_order(values, layout.fields)
    return {name: column[order] for name, column in values.items()}, counts[order]


def _repetition_error(memory: int, most: int, ratio: str) -> RepetitionError:
    error = RepetitionError(
        f"`memory` must hold the distinct rows, got {memory:,} bytes for more than {most:,} rows: "
        f"{ratio} differ.\n"
        "Hint: leave out columns that the model does not use, round numbers that have more digits "
        "than they need, or pass a larger memory."
    )
    error.ratio = f"{ratio} rows differ"
    return error


@dataclass(frozen=True)
class OutcomeGroups:
    """Rows of one table that are told apart by some fields, and what others are in each group.

    Attributes
    ----------
    values : dict of str to ndarray, shapes (groups, *field.shape)
        The distinct rows of the fields that tell them apart, in their order.
    counts : ndarray of int64, shape (groups,)
        The number of rows of each.
    means, squares : dict of str to ndarray of float64, shapes (groups, *field.shape)
        The means of the outcomes, and the sums of their squared distances from these.
    """

    values: Table
    counts: NDArray[np.int64]
    means: dict[str, NDArray[np.float64]]
    squares: dict[str, NDArray[np.float64]]


def group_outcomes(table: Table, layout: Layout, outcomes: Sequence[Field]) -> OutcomeGroups:
    """Return the distinct rows of a table in memory, with the means and squares of outcomes.

    Parameters
    ----------
    table : dict of str to ndarray, shapes (rows, *field.shape)
        The rows.
    layout : Layout
        The fields that tell them apart; without any, all rows are one group.
    outcomes : sequence of Field
        Fields of numbers.
    """
    num_rows = len(next(iter(table.values())))
    keys = {str(number): word for number, word in enumerate(layout.words(table))}
    if not keys:
        keys = {"0": np.zeros(num_rows, dtype=np.uint8)}
    columns = {
        f"{field.name}.{number}": np.ascontiguousarray(column)
        for field in outcomes
        for number, column in enumerate(
            table[field.name].reshape(num_rows, -1).astype(np.float64, copy=False).T
        )
    }
    # The order of threads would decide the last digits. Arrow's variance does not cancel.
    grouped = (
        pa.table(keys | columns)
        .group_by(list(keys), use_threads=False)
        .aggregate([([], "count_all"), *((name, each) for name in columns for each in MOMENTS)])
    )
    found = {name: grouped[name].to_numpy() for name in grouped.column_names}
    values = layout.values([found[name] for name in keys])
    order = value_order(values, layout.fields)
    counts = found["count_all"].astype(np.int64)

    def moments(field: Field, which: str) -> NDArray[np.float64]:
        size = int(np.prod(field.shape, dtype=np.int64))
        parts = [found[f"{field.name}.{number}_{which}"] for number in range(size)]
        return np.stack(parts, axis=1).reshape(len(counts), *field.shape)

    return OutcomeGroups(
        {name: column[order] for name, column in values.items()},
        counts[order],
        {field.name: moments(field, "mean")[order] for field in outcomes},
        {
            field.name: (moments(field, "variance") * _by_row(counts, field))[order]
            for field in outcomes
        },
    )


def _by_row(counts: NDArray[np.int64], field: Field) -> NDArray[np.int64]:
    return counts.reshape(-1, *[1] * len(field.shape))


def _pieces(tables: Iterator[Table], layout: Layout) -> Iterator[pa.Table]:
    """Yield rows as Arrow tables of words and counts, many rows in each."""
    waiting: list[pa.Table] = []
    for table in tables:
        length = len(table[layout.names[0]])
        columns = {str(number): word for number, word in enumerate(layout.words(table))}
        counts = (
            np.ones(length, dtype=np.int64)
            if layout.counted is None
            else table[layout.counted.name].astype(
                np.int64 if layout.is_exact else np.float64, copy=False
            )
        )
        waiting.append(pa.table(columns | {COUNT: counts}))
        if sum(map(len, waiting)) >= PIECE_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _grouped(table: pa.Table, layout: Layout) -> pa.Table:
    """Return each distinct row once, with the sum of its counts."""
    if (dense := _dense_groups(table, layout)) is not None:
        return dense
    names = table.column_names[:-1]
    # The order of threads decides that of floats in a sum, and with it the last digits.
    grouped = table.group_by(names, use_threads=layout.is_exact).aggregate([(COUNT, "sum")])
    return grouped.select([*names, f"{COUNT}_sum"]).rename_columns([*names, COUNT])


def _dense_groups(table: pa.Table, layout: Layout) -> pa.Table | None:
    """Return each distinct row of few possible ones, counted by its number among them.

    Codes, flags and small whole numbers have few possible values. With 10**7 rows of three such
    fields, 200,000 of them distinct, this takes a quarter of the time of a hash table.

    Returns
    -------
    pyarrow.Table or None
        None where more rows are possible than is worth it.
    """
    *names, count = table.column_names
    most = min(MOST_DENSE, max(LEAST_DENSE, 4 * len(table)))
    ranges: list[tuple[NDArray[np.signedinteger], int, int]] = []
    num_possible = 1
    for name in names:
        words = table[name].to_numpy()
        # As signed numbers, so that -1 is next to 0.
        column = words.view(f"i{words.itemsize}")
        if not len(column) or num_possible > most:
            return None
        low, high = int(column.min()), int(column.max())
        ranges.append((column, low, high - low + 1))
        num_possible *= high - low + 1
    if num_possible > most:
        return None
    numbers = np.subtract(ranges[0][0], ranges[0][1], dtype=np.int64)
    for column, low, length in ranges[1:]:
        numbers *= length
        numbers += column
        numbers -= low
    counts = table[count].to_numpy()
    if layout.is_exact and int(counts.max()) == 1:
        sums = np.bincount(numbers)
        present = np.flatnonzero(sums)
    else:
        # Doubles hold whole numbers up to 2**53.
        sums = np.bincount(numbers, weights=counts)
        present = np.flatnonzero(np.bincount(numbers))
    columns, rest = {count: sums[present].astype(counts.dtype)}, present
    for name, (column, low, length) in zip(reversed(names), reversed(ranges), strict=True):
        rest, values = np.divmod(rest, length)
        signed = (values + low).astype(column.dtype)
        columns[name] = signed.view(f"u{column.itemsize}")
    return pa.table({name: columns[name] for name in table.column_names})


def value_order(values: Table, fields: Sequence[Field]) -> NDArray[np.int64]:
    """Return the order of rows by their values, the first field first; without fields, of one."""
    keys = [
        column
        for field in fields
        for column in values[field.name].reshape(len(values[field.name]), -1).T
    ]
    order: NDArray[np.int64] = np.lexsort(keys[::-1]) if keys else np.zeros(1, dtype=np.int64)
    return order
