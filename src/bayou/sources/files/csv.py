"""CSV files: a block is some MiB of whole lines. One pass finds the lines and the types.

The first line names the columns. A column has the narrowest of Arrow's types that all of its texts
in all files can be read as. Nulls are those of Arrow's reader: an empty text or NA among numbers.
Arrow's own data sets of CSV files infer types from the first block, and cannot seek to a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv, types

from bayou.errors import SourceError
from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.listed_file import File

# A block: 8 MiB of lines, which are parsed at once and held as text meanwhile.
BLOCK_BYTES = 2**23


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

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each block of lines."""
        return tuple(lines.num_rows for lines in self.lines)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        """Parse a block of lines."""
        lines = self.lines[block]
        with self.file.open() as handle:
            data = handle.read_at(lines.num_bytes, lines.start)
        kinds = {name: self.schema.field(name).type for name in names}
        options = csv.ConvertOptions(column_types=kinds, include_columns=list(names))
        table = _parse(data, self.schema.names, options)
        yield from table.to_batches(max_chunksize=num_rows)

    def null_count(self, block: int, name: str) -> int | None:
        """Return 0 if the first pass met no null; it does not count them."""
        return None if name in self.lines[block].nulls else 0

    def describe_block(self, block: int) -> str:
        """Return the range of the bytes."""
        lines = self.lines[block]
        return f"bytes {lines.start} to {lines.start + lines.num_bytes - 1}"


def open_csv(files: Sequence[File]) -> list[CsvData]:
    """Find the lines of files in one pass, and give each column one type in all of them.

    Raises
    ------
    TypeError
        If a column is of text in one file and not in another, or so for dates or booleans.
    """
    opened = [_scan(file) for file in files]
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


def _scan(file: File) -> CsvData:
    """Find the blocks of lines of a file, and the types of its columns in it."""
    with reading(file, "header"), file.open() as handle:
        header, start = _header(handle, file)
    lines: list[Lines] = []
    schemas = []
    for data in _whole_lines(file, start):
        with reading(file, f"bytes {start} to {start + len(data) - 1}"):
            table = _parse(data, header, csv.ConvertOptions())
        if table.num_rows:
            columns = zip(header, table.columns, strict=True)
            nulls = frozenset(name for name, column in columns if column.null_count)
            lines.append(Lines(start, len(data), table.num_rows, nulls))
            schemas.append(table.schema)
        start += len(data)
    # A column of several types within one file is text. Between files, that is an error.
    kinds = [
        reduce(lambda one, other: _wider_type(one, other) or pa.string(), blocks, pa.null())
        for blocks in zip(*(schema.types for schema in schemas), strict=True)
    ] or [pa.null()] * len(header)
    return CsvData(file, pa.schema(list(zip(header, kinds, strict=True))), tuple(lines))


def _header(handle: pa.NativeFile, file: File) -> tuple[list[str], int]:
    """Return the names in the first line, and the position of the next one."""
    line = b""
    while b"\n" not in line and (more := handle.read(2**16)):
        line += more
    line = line[: line.find(b"\n") + 1 or len(line)]
    if not line.strip():
        raise SourceError(
            f"`{file.path}` must begin with a line that names its columns, got none.\n"
            "Hint: leave the file out, or write the names."
        )
    return csv.read_csv(pa.BufferReader(line)).column_names, len(line)


def _whole_lines(file: File, start: int) -> Iterator[bytes]:
    """Yield about `BLOCK_BYTES` at a time, each ending with the end of a line."""
    with file.open() as handle:
        handle.seek(start)
        rest = b""
        while data := handle.read(BLOCK_BYTES):
            end = data.rfind(b"\n") + 1
            if end:
                yield rest + data[:end]
            rest = data[end:] if end else rest + data
        if rest:
            yield rest


def _parse(data: bytes, names: Sequence[str], options: csv.ConvertOptions) -> pa.Table:
    # With threads, Arrow's reader was seen to abort a process at its exit, now and then.
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(column_names=names, use_threads=False),
        convert_options=options,
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
