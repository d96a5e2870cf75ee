"""`by.inspect`: a look at a source before it is used, without reading all of it.

Up to 64 stretches of consecutive rows, spread over the source, are read. Order shows as a
difference between stretches that is larger than chance; `row_order` has the statistic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.feeding.memory import default_window
from bayou.preparation.inspect_result import FieldSummary, Inspection
from bayou.preparation.row_order import RowOrder, is_missing, measure_order
from bayou.sources.open import as_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.source import Source

# Stretches of rows that are read, and the rows of each: at most 16,384 rows, whatever the size of
# the source. More would show weaker orders, for longer waits on remote files.
MAX_STRETCHES = 64
STRETCH_ROWS = 256
# The most memory for rows of a source without random access, of which the beginnings of some blocks
# are read to take stretches from.
SAMPLE_BYTES = 64 * 2**20
# The numbers of a row of a field with several that are looked at, such as pixels of an image.
MAX_COLUMNS = 16


def inspect(source: object) -> Inspection:
    """Look at a source: its fields, size and nulls, and whether its rows are in some order.

    If a source is larger than memory, is read block by block and is sorted, such as by time, its
    batches are not random samples. Inspect such a source first; :func:`bayou.shuffle` writes it in
    random order.

    Parameters
    ----------
    source : Source, or an object that :func:`bayou.source` takes
        The rows. At most 16,384 of them are read.

    Returns
    -------
    Inspection
        Prints as a table, also in a notebook. ``to_frame()`` has the fields as a data frame.

    Raises
    ------
    TypeError
        If bayou cannot read rows from such an object.
    ValueError
        If the source has no rows.

    Notes
    -----
    A sample of up to 64 runs of up to 256 consecutive rows, spread over the source, is tested for
    order. In a source without random access (any row can be read by its number), each run is the
    beginning of a block. The values of a field are ranked, and the variance of the ranks between
    runs is compared with the variance within them, as in the test of Kruskal and Wallis [1]_. If
    rows are in random order, the variance between runs is as large as chance makes it.

    References
    ----------
    .. [1] W. H. Kruskal, W. A. Wallis: Use of ranks in one-criterion variance analysis. Journal of
       the American Statistical Association 47 (1952), 583-621.

    Examples
    --------
    >>> found = by.inspect({"day": np.arange(1000), "late": np.arange(1000) * 7919 % 1000 < 200})
    >>> found.to_frame()["order"].to_dict()
    {'day': 'rising', 'late': ''}
    >>> print(found)
    ArraySource: 1,000 rows, 9.00 kB in memory
    1 block of 1,000 to 1,000 rows
    order and NaN: in a sample of 1,000 rows
    <BLANKLINE>
      field   dtype   shape   categories   nulls   NaN         order
     ────────────────────────────────────────────────────────────────
      day     int64       -            -       0     0   rising 0.99
      late    bool        -            -       0     0             -
    <BLANKLINE>
    The rows look sorted by `day` (rising, 0.99). Any row can be read by its number, so batches do
    not depend on it.
    """
    rows = as_source(source, "source")
    names = [field.name for field in rows.fields.values() if field.dtype != object]
    stretches, faults = _read_stretches(rows, names)
    nulls = rows.null_counts()
    fields = tuple(
        _field_summary(
            field, [table[field.name] for table in stretches if field.name in table], nulls
        )
        for field in rows.fields.values()
    )
    blocks = rows.blocks
    sizes = [size for size in blocks if size is not None]
    row_bytes = sum(rows.fields[name].row_bytes for name in names)
    return Inspection(
        kind=type(rows).__name__,
        fields=fields,
        num_rows=rows.num_rows,
        num_dropped=rows.num_dropped,
        num_blocks=len(blocks),
        block_rows=(min(sizes), max(sizes)) if sizes and len(sizes) == len(blocks) else None,
        num_bytes=None if rows.num_rows is None else rows.num_rows * row_bytes,
        random_access=rows.random_access,
        in_memory_size=None if rows.random_access else default_window(rows),
        looked_at=sum(len(next(iter(table.values()))) for table in stretches),
        faults=faults,
    )


def _read_stretches(source: Source, names: Sequence[str]) -> tuple[list[Table], tuple[str, ...]]:
    """Return stretches of rows, a table each, and the errors of fields that cannot be read."""
    try:
        return list(_stretches(source, names)), ()
    except ValueError as error:
        if len(names) == 1:
            return [], (str(error).partition("\n")[0],)
    # A null is an error of the whole read. Field by field, it hides its own field alone.
    by_field = [_read_stretches(source, [name]) for name in names]
    number = max((len(stretches) for stretches, _ in by_field), default=0)
    merged: list[Table] = [{} for _ in range(number)]
    for stretches, _ in by_field:
        # A field with an error has none.
        for table, stretch in zip(merged, stretches, strict=False):
            table.update(stretch)
    return merged, tuple(fault for _, faults in by_field for fault in faults)


def _stretches(source: Source, names: Sequence[str]) -> Iterator[Table]:
    """Yield stretches of consecutive rows, spread over the source, in its order."""
    if not names:
        return
    if source.random_access and source.num_rows is not None:
        for rows in _stretch_rows(source.num_rows, MAX_STRETCHES):
            yield source.take(rows, names)
        return
    num_blocks = len(source.blocks)
    blocks = np.unique(np.linspace(0, num_blocks - 1, min(MAX_STRETCHES, num_blocks)).astype(int))
    row_bytes = max(1, sum(source.fields[name].row_bytes for name in names))
    per_block = -(-MAX_STRETCHES // len(blocks))
    limit = max(per_block * STRETCH_ROWS, SAMPLE_BYTES // row_bytes // len(blocks))
    for block in blocks:
        table = _read_beginning(source, int(block), names, limit)
        for rows in _stretch_rows(len(table[names[0]]), per_block):
            yield {name: values[rows] for name, values in table.items()}


def _read_beginning(source: Source, block: int, names: Sequence[str], limit: int) -> Table:
    """Return the first rows of a block, at most `limit`."""
    tables, num_rows = [], 0
    for table in source.read(block, names):
        tables.append({name: table[name][: limit - num_rows] for name in names})
        num_rows += len(tables[-1][names[0]])
        if num_rows == limit:
            break
    return {
        name: np.concatenate([table[name] for table in tables])
        if tables
        else np.empty(0, source.fields[name].dtype)
        for name in names
    }


def _stretch_rows(num_rows: int, number: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of up to `number` stretches, evenly spread over rows."""
    # Few rows are cut into at least 8 stretches of at least 2 rows, since order shows between
    # stretches, against the variance within them.
    size = max(min(STRETCH_ROWS, num_rows // min(number, 8)), min(2, num_rows), 1)
    starts = np.linspace(0, num_rows - size, min(number, num_rows // size)).astype(np.int64)
    for start in starts:
        yield np.arange(start, start + size, dtype=np.int64)


def _field_summary(
    field: Field, stretches: Sequence[NDArray[np.generic]], nulls: Mapping[str, int | None]
) -> FieldSummary:
    nans, order = 0, RowOrder("", 0.0)
    if stretches:
        nans = sum(int(is_missing(values).sum()) for values in stretches)
        tables = [values.reshape(len(values), -1)[:, :MAX_COLUMNS] for values in stretches]
        columns = range(tables[0].shape[1])
        orders = [measure_order([table[:, column] for table in tables]) for column in columns]
        order = max(orders, key=lambda order: order.strength, default=order)
    return FieldSummary(
        field.name,
        "text" if field.dtype == object else field.dtype.name,
        field.shape,
        None if field.categories is None else len(field.categories),
        nulls.get(field.name),
        nans,
        order.direction,
        order.strength,
    )
