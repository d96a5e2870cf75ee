"""`by.compress`: the distinct rows of a source, each with the number of its rows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from bayou.arguments import check_progressbar, first_unusable_weight, memory_bytes, path_of
from bayou.feeding.read import read_tables
from bayou.preparation.distinct_rows import Layout, group_rows, value_order
from bayou.preparation.text_tables import TextTables, is_text_field
from bayou.progress import row_progress
from bayou.sources.base.arrow_table import arrow_table
from bayou.sources.base.field import Field, check_no_text, choose_fields
from bayou.sources.in_memory.array import ArraySource
from bayou.sources.open import as_source
from bayou.storage.atomic_write import write_atomically
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bayou.sources.base.field import Table
    from bayou.sources.base.source import Source


def compress(
    source: object,
    columns: Sequence[str] | None = None,
    *,
    count: str = "count",
    weights: str | None = None,
    out: str | Path | None = None,
    memory: int | str = "1 GiB",
    progressbar: bool = True,
) -> Source:
    """Return the distinct rows of a source, each with the number of its rows.

    Tables of categories, counts and rounded numbers often have many equal rows. A likelihood that
    is a product over rows needs each distinct row only once, with its count. Choose only the
    columns that the model uses: with fewer columns, more rows are equal.

    Parameters
    ----------
    source : Source, or an object that :func:`bayou.source` takes
        The rows: fields of numbers, dates, booleans, text or categories. They are read once.
        Queries of a database are grouped by the database, and lazy frames by their own engine.
    columns : sequence of str, optional
        The fields to keep. Rows are equal if they agree in all of these. By default all.
    count : str, default "count"
        The name of the field with the number of rows.
    weights : str, optional
        A field of non-negative numbers: how often each row already counts, such as the counts of an
        earlier call. The count of a distinct row is then the sum of these, not the number of rows.
    out : str or Path, optional
        A new Parquet file to which the result is also written.
    memory : int or str, default "1 GiB"
        The largest amount of memory that the distinct rows may take, in bytes or as a text with a
        unit. The number of all rows has no limit.
    progressbar : bool, default True
        Whether to show a progress bar.

    Returns
    -------
    Source
        The distinct rows in memory, in the order of their values, with the fields of ``columns``
        and `count` (int64; float64 if `weights` are floats). Text becomes categories in
        alphabetical order, which ``by.Data(categories=)`` takes. Rows are the same if all of their
        bits are: NaN equals itself, and 0.0 is not -0.0.

    Raises
    ------
    FileExistsError, FileNotFoundError
        If `out` exists, or the folder that it is in does not.
    TypeError
        If a field contains objects other than text, or `weights` are not numbers.
    ValueError
        If there is no such field, `count` is one of the columns, a weight is below 0 or not finite,
        a null is refused, or the distinct rows do not fit into `memory`. The error then says how
        many distinct rows were found so far.

    See Also
    --------
    shuffle : Write all rows in random order.

    Examples
    --------
    >>> flights = {"carrier": np.array([3, 1, 3, 3]), "late": np.array([True, False, True, False])}
    >>> cells = by.compress(flights, progressbar=False)
    >>> cells.take(np.arange(3), ["carrier", "late", "count"])["count"]
    array([1, 1, 2])
    """
    check_progressbar(progressbar)
    most_bytes = memory_bytes(memory)
    file = None if out is None else _new_file(out)
    rows = as_source(source, "source")
    names = [name for name in rows.fields if name != weights] if columns is None else list(columns)
    fields = choose_fields(rows.fields, names)
    check_no_text([field for field in fields if not is_text_field(field)])
    _check_columns(names, count, weights)
    counted = None if weights is None else _weights_field(rows, weights)
    if counted is None and (grouped := rows.grouped(names, count)) is not None:
        rows, counted = grouped, grouped.fields[count]
    texts = TextTables(fields, most_bytes)
    layout = Layout(tuple(texts.coded_fields(fields)), counted)
    tables = texts.encode(read_tables(rows, layout.names))
    if weights is not None:
        tables = _checked_weights(tables, weights)
    with row_progress("compress", rows.num_rows, progressbar) as advance:
        values, counts = group_rows(tables, layout, most_bytes, advance)
    if any(map(is_text_field, fields)):
        fields, values = texts.decode(fields, values)
        order = value_order(values, fields)
        values, counts = {name: column[order] for name, column in values.items()}, counts[order]
    result_fields = {field.name: field for field in fields} | {count: Field(count, counts.dtype)}
    values[count] = counts
    if file is not None:
        buffer = io.BytesIO()
        pq.write_table(arrow_table(result_fields, values), buffer, compression="zstd")
        write_atomically(file, buffer.getvalue())
    return ArraySource(result_fields, values, len(counts))


def _new_file(out: str | Path) -> Path:
    file = path_of("out", out).absolute()
    if file.exists():
        raise FileExistsError(
            f"`out` must not exist, got {str(file)!r}.\nHint: remove it, or choose another name."
        )
    if not file.parent.is_dir():
        raise FileNotFoundError(
            f"`out` must be in a folder that exists, got {str(file)!r}.\n"
            f"Hint: create {str(file.parent)!r} first."
        )
    return file


def _check_columns(names: Sequence[str], count: str, weights: str | None) -> None:
    if not names:
        raise ValueError(
            "`columns` must name at least one field, got none.\n"
            "Hint: name the fields that the model uses."
        )
    if count in names:
        raise ValueError(
            f"`count` must be a name that no column has, got {count!r} with columns "
            f"{listed(names)}.\nHint: pass another name, or weights={count!r} if its numbers say "
            "how often each row counts."
        )
    if weights in names:
        raise ValueError(
            f"`weights` must be none of the columns, got {weights!r}.\n"
            "Hint: leave it out of `columns`; rows are told apart by the others."
        )


def _weights_field(rows: Source, weights: str) -> Field:
    [field] = choose_fields(rows.fields, [weights])
    if field.dtype.kind not in "biuf" or field.shape or field.categories is not None:
        raise TypeError(
            f"`weights` must be a field of numbers, one a row, got {field}.\n"
            "Hint: name the field that says how often each row counts."
        )
    return field


def _checked_weights(tables: Iterator[Table], weights: str) -> Iterator[Table]:
    """Yield tables whose weights are finite and not below 0."""
    start = 0
    for table in tables:
        values = table[weights]
        row = first_unusable_weight(values)
        if row is not None:
            raise ValueError(
                f"`weights` must be finite and at least 0, got {values[row]} in row {start + row} "
                f"of `{weights}`.\nHint: leave such rows out, or correct the column."
            )
        start += len(values)
        yield table
