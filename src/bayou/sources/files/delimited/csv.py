"""CSV files: a block is some MiB of whole lines. One pass finds the lines and the types.

A file that is compressed, or not encoded as UTF-8, cannot be read from the middle: it is one block.
A column has the narrowest of Arrow's types that all of its texts in all files can be read as. Nulls
are those of Arrow's reader: an empty text or NA among numbers. Arrow's own data sets of CSV files
infer types from the first block, and cannot seek to a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv, types

from bayou.errors import warn
from bayou.sources.files.data_file import DataFile
from bayou.sources.files.delimited.dialect import Dialect, find_dialect
from bayou.sources.files.delimited.utf8_stream import encoding_error
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.sources.files.delimited.csv_options import CsvOptions
    from bayou.sources.files.listed_file import File

LINES_HINT = (
    "check that line; if all lines are alike, say how they are written: `delimiter`, "
    "`column_names` where the first line has no names, `skip_rows` where lines are above it."
)
# A block: 8 MiB of lines, which are parsed at once and held as text meanwhile.
BLOCK_BYTES = 2**23
# A line break within quotes is looked for this far from the end of a block.
QUOTED_BYTES = 2**20


@dataclass(frozen=True)
class Lines:
    """A block of lines.

    Attributes
    ----------
    start : int
        The position of the first byte in the file.
    num_bytes : int
        The number of bytes.
    num_rows : int
        The number of rows.
    nulls : frozenset of str
        The columns that have nulls in the block.
    """

    start: int
    num_bytes: int
    num_rows: int
    nulls: frozenset[str]


@dataclass(frozen=True)
class CsvData(DataFile):
    """A CSV file whose types and lines are known."""

    file: File
    schema: pa.Schema
    lines: tuple[Lines, ...]
    dialect: Dialect

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled file. Those of bayou 0.1 have commas, and all of their columns."""
        vars(self).update(state)
        if "dialect" not in state:
            start = self.lines[0].start if self.lines else 0
            vars(self)["dialect"] = Dialect(tuple(self.schema.names), start)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each block of lines."""
        return tuple(lines.num_rows for lines in self.lines)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        """Parse a block of lines."""
        kinds = {name: self.schema.field(name).type for name in names}
        for data in self._pieces(block):
            table = _parse(data, self.dialect, kinds, names)
            yield from table.to_batches(max_chunksize=num_rows)

    def _pieces(self, block: int) -> Iterator[bytes]:
        """Yield whole lines of a block: all at once, or of a stream one piece after another."""
        if self.dialect.is_stream:
            yield from _whole_lines(self.dialect.chunks(self.file, BLOCK_BYTES))
            return
        lines = self.lines[block]
        with self.file.open() as handle:
            yield handle.read_at(lines.num_bytes, lines.start)

    def null_count(self, block: int, name: str) -> int | None:
        """Return 0 if the first pass met no null; it does not count them."""
        return None if name in self.lines[block].nulls else 0

    def describe_block(self, block: int) -> str:
        """Return the range of the bytes."""
        lines = self.lines[block]
        if self.dialect.is_stream:
            return "lines"
        return f"bytes {lines.start} to {lines.start + lines.num_bytes - 1}"


def open_csv(files: Sequence[File], options: CsvOptions) -> list[CsvData]:
    """Find the lines of files in one pass, and give each column one type in all of them.

    Raises
    ------
    SourceError
        If a file is of another encoding, or its lines have not the same number of values.
    TypeError
        If a column is of text in one file and not in another, or so for dates or booleans.

    Warns
    -----
    UserWarning
        If a file looks otherwise than with commas and decimal points: says how it is read.
    """
    opened = [_scan(file, options) for file in files]
    # Once for files that look alike.
    looks = {data.dialect.guess: data.file.path for data in reversed(opened) if data.dialect.guess}
    for guess, path in looks.items():
        warn(f"`{path}` {guess}")
    common: dict[str, tuple[pa.DataType, File]] = {}
    for data in opened:
        for field in data.schema:
            kind, first = common.get(field.name, (field.type, data.file))
            wider = _wider_type(kind, field.type)
            if wider is None:
                raise TypeError(
                    f"`{field.name}` must be of one type in all files, got {kind} in "
                    f"{first.path} and {field.type} in {data.file.path}.\n"
                    "Hint: correct the file that is wrong, or leave the column out with `columns`."
                )
            common[field.name] = (wider, first if wider == kind else data.file)
    return [
        replace(data, schema=pa.schema([(name, common[name][0]) for name in data.schema.names]))
        for data in opened
    ]


def _scan(file: File, options: CsvOptions) -> CsvData:
    """Find the blocks of lines of a file, and the types of its columns in it."""
    with reading(file, "header", LINES_HINT):
        dialect = find_dialect(file, options)
    start = dialect.start
    lines: list[Lines] = []
    schemas = []
    pieces = _whole_lines(dialect.chunks(file, BLOCK_BYTES))
    while True:
        # Decompression is part of reading, so that its errors name the file.
        with reading(file, "compressed bytes" if dialect.compression else "lines"):
            data = next(pieces, None)
        if data is None:
            break
        part = "lines" if dialect.is_stream else f"bytes {start} to {start + len(data) - 1}"
        with reading(file, part, LINES_HINT):
            table = _parse(data, dialect)
        _check_encoding(file, dialect, table)
        if table.num_rows:
            columns = zip(dialect.names, table.columns, strict=True)
            nulls = frozenset(name for name, column in columns if column.null_count)
            lines.append(Lines(start, len(data), table.num_rows, nulls))
            schemas.append(table.schema)
        start += len(data)
    # A column of several types within one file is text. Between files, that is an error.
    kinds = [
        reduce(lambda one, other: _wider_type(one, other) or pa.string(), blocks, pa.null())
        for blocks in zip(*(schema.types for schema in schemas), strict=True)
    ] or [pa.null()] * len(dialect.names)
    # A delimiter at the end of each line makes a column without a name and without values.
    columns_read = [
        (name, kind)
        for name, kind in zip(dialect.names, kinds, strict=True)
        if name or not types.is_null(kind)
    ]
    if dialect.is_stream and lines:
        nulls = frozenset(name for part in lines for name in part.nulls)
        num_rows = sum(part.num_rows for part in lines)
        lines = [Lines(dialect.start, start - dialect.start, num_rows, nulls)]
    return CsvData(file, pa.schema(columns_read), tuple(lines), dialect)


def _check_encoding(file: File, dialect: Dialect, table: pa.Table) -> None:
    """Check that the text of all columns is text: Arrow has bytes for other encodings."""
    for name, column in zip(dialect.names, table.columns, strict=True):
        if types.is_binary(column.type):
            value = next(value for value in column.to_pylist() if value and not _is_utf8(value))
            raise encoding_error(file, "utf-8", f"{value!r} in the column {name!r}")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield about `BLOCK_BYTES` at a time, each ending with the end of a line outside quotes."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        end = _last_line_end(data)
        if end:
            yield data[:end]
        rest = data[end:]
    if rest:
        yield rest


def _last_line_end(data: bytes) -> int:
    """Return the position after the last line, 0 if no line ends in the data."""
    end = data.rfind(b"\n") + 1
    if b'"' not in data:
        return end
    found = end
    # The break is within quotes if a quote before it is open.
    while found and data.count(b'"', 0, found) % 2:
        quote = data.rfind(b'"', 0, found)
        found = data.rfind(b"\n", 0, quote) + 1
        if end - found > QUOTED_BYTES:
            # No value is as long: a single quote is part of a text, such as that of an inch.
            return end
    return found


def _parse(
    data: bytes,
    dialect: Dialect,
    kinds: Mapping[str, pa.DataType] | None = None,
    names: Sequence[str] | None = None,
) -> pa.Table:
    # With threads, Arrow's reader was seen to abort a process at its exit, now and then.
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(column_names=list(dialect.names), use_threads=False),
        parse_options=csv.ParseOptions(
            delimiter=dialect.delimiter, newlines_in_values=b'"' in data
        ),
        convert_options=csv.ConvertOptions(
            decimal_point=dialect.decimal, column_types=kinds, include_columns=names
        ),
    )


def _wider_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that the texts of both types can be read as, or None.

    These are Arrow's permissive promotions, which lose nothing here, since the texts are read again
    as the wider type; and dates among timestamps without a zone, which Arrow keeps apart.
    """
    days, moments = sorted((one, other), key=types.is_timestamp)
    if types.is_date(days) and types.is_timestamp(moments) and moments.tz is None:
        return moments
    schemas = [pa.schema([("", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").types[0]
    except pa.ArrowTypeError:
        return None
