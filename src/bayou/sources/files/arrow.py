"""The source of rows in Parquet, Arrow IPC and CSV files, decoded by pyarrow.

The metadata of all files are read once, when the source is opened: a block is a row group, some
record batches or some lines of one file. A block is decoded piece by piece, so that reading holds a
piece of some MiB; of compressed IPC files a record batch, of remote files a block as it is stored.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import types

from bayou.errors import SourceError
from bayou.sources.base.arrow_values import arrow_field, arrow_values, dictionary_words
from bayou.sources.base.field import choose_fields
from bayou.sources.base.nulls import check_nulls, complete_rows, without_nulls
from bayou.sources.base.row_numbers import even_blocks
from bayou.sources.base.source import Source
from bayou.sources.files.delimited.csv import open_csv
from bayou.sources.files.delimited.csv_options import CsvOptions
from bayou.sources.files.ipc import open_ipc
from bayou.sources.files.listed_file import reading
from bayou.sources.files.parquet import open_parquet
from bayou.sources.files.paths import find_files
from bayou.sources.files.schema import (
    common_column,
    common_types,
    merge_categories,
    partition_types,
    partition_values,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.nulls import Masked, Nulls
    from bayou.sources.files.data_file import DataFile
    from bayou.sources.files.listed_file import File
    from bayou.sources.files.paths import ArrowFormat, Filesystem, Paths

# The values of a piece take at most so many bytes. At the end of a piece, all threads of Arrow wait
# for the last one, so that a row group of 2**17 rows of 20 doubles, a usual size, is one piece.
# With rows gathered from where they were decoded, windows of `benchmarks/parquet.py` came a fifth
# faster than with smaller pieces.
PIECE_BYTES = 20 * 2**20
# Threads that read the metadata of files. On a remote filesystem they mostly wait.
OPENERS = 16
# Rows of a dictionary column that are decoded at once to find its categories, 2 MiB of codes.
DICTIONARY_ROWS = 2**18


@dataclass(frozen=True)
class Block:
    """A block of one of the files.

    Attributes
    ----------
    data : DataFile
        The file.
    number : int
        The index of the block in the file.
    num_rows : int
        The number of rows, without those that are dropped.
    nulls : tuple of str
        The fields that hold nulls for which rows are dropped.
    """

    data: DataFile
    number: int
    num_rows: int
    nulls: tuple[str, ...] = ()

    @property
    def stored_rows(self) -> int:
        """The number of rows in the file, with those that are dropped."""
        return self.data.sizes[self.number]


class ArrowSource(Source):
    """Rows of Parquet, Arrow IPC (Feather) or CSV files.

    Parameters
    ----------
    what : str, path, or sequence of them
        Files, folders or globs, local or as URLs such as "s3://bucket/flights/**/*.parquet".
        Folders of Hive partitions such as "year=2013" are columns, of int64 if all values are whole
        numbers, else of categories.
    format : {"parquet", "ipc", "csv"}, optional
        The format. By default that of the suffix of the files' names.
    columns : sequence of str, optional
        The columns to read. By default all.
    filesystem : pyarrow.fs.FileSystem or fsspec filesystem, optional
        The filesystem of the paths.
    nulls : {"refuse", "drop"}, default "refuse"
        Make a null an error when it is read, or leave out and count the rows that have one. To
        count them takes a pass over the columns that may hold nulls.
    csv : CsvOptions, optional
        How CSV files are written, as far as the user says it.

    Raises
    ------
    SourceError
        If a file cannot be read.
    FileNotFoundError
        If there are no files.
    ValueError
        If a file has other columns than the first, if there are no rows, or if an argument has
        another value.
    TypeError
        If a column has types in the files of which none holds all values.

    Notes
    -----
    Blocks are row groups, record batches (small ones together) and stretches of lines. There is no
    random access: a row costs its block. A column of Arrow dictionaries gets one table of
    categories for all files, which takes a pass over the column. A CSV file that
    is compressed, or not encoded as UTF-8, is one block, read from front to back.

    Examples
    --------
    >>> import tempfile, pyarrow.parquet
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pyarrow.table({"x": [0.5, 1.5, 2.5], "y": [0, 1, 1]})
    >>> pyarrow.parquet.write_table(table, folder.name + "/rows.parquet", row_group_size=2)
    >>> rows = ArrowSource(folder.name + "/*.parquet")
    >>> rows.blocks, [field.dtype.name for field in rows.fields.values()]
    ((2, 1), ['float64', 'int64'])
    >>> next(rows.read(1, ["x"]))
    {'x': array([2.5])}
    >>> folder.cleanup()
    """

    def __init__(
        self,
        what: Paths,
        *,
        format: ArrowFormat | None = None,  # noqa: A002
        columns: Sequence[str] | None = None,
        filesystem: Filesystem | None = None,
        nulls: Nulls = "refuse",
        csv: CsvOptions | None = None,
    ) -> None:
        check_nulls(nulls)
        format_name, paths = find_files(what, format, filesystem)
        csv = CsvOptions() if csv is None else csv
        if format_name != "csv":
            csv.check_unused(format_name)
        files = _open(format_name, paths, csv)
        self._kinds = kinds = common_types(files, columns)
        blocks = tuple(
            Block(data, number, size)
            for data in files
            for number, size in enumerate(data.sizes)
            if size
        )
        if not blocks:
            raise ValueError(
                f"`what` must hold rows, got none in {len(files):,} "
                f"file{'s' * (len(files) > 1)}, the first of which is {files[0].file.path}.\n"
                "Hint: check what wrote the files."
            )
        self._keys = partition_types(files)
        categories = _find_categories(blocks, kinds, self._keys)
        self._fields = {
            name: arrow_field(name, kind, categories.get(name)) for name, kind in kinds.items()
        }
        self._stored = self._blocks = blocks
        if nulls == "drop":
            self._blocks = _without_nulls(blocks, self._fields, self._keys, kinds)
        self._num_dropped = _count(blocks) - _count(self._blocks)
        self._starts = tuple(accumulate((block.num_rows for block in self._blocks), initial=0))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled source. Those of bayou 0.1 lack the types of the columns."""
        vars(self).update(state)
        if "_kinds" not in state:
            files = {id(block.data): block.data for block in self._stored}
            self._kinds = common_types(list(files.values()), list(self._fields))

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in the order of the first file."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The number of rows of each block, without those that are dropped."""
        return tuple(block.num_rows for block in self._blocks)

    @property
    def num_dropped(self) -> int:
        """The number of rows left out because of nulls."""
        return self._num_dropped

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the files with rows, in the order of the rows."""
        return tuple(dict.fromkeys(block.data.file.path for block in self._blocks))

    @property
    def where(self) -> str:
        """The path of the first file, and the number of the others."""
        first, *rest = self.paths
        return first if not rest else f"{first} and {len(rest)} more"

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the number of nulls of each field in the files, None if metadata lack it."""
        return {name: self._null_count(name) for name in self._fields}

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return the least and the largest value of integers by the metadata, None without."""
        stored = self._blocks[block]
        # The least or the largest value may be in a row that is dropped.
        if name in self._keys or stored.nulls:
            return None
        return stored.data.bounds(stored.number, name)

    def _null_count(self, name: str) -> int | None:
        total = 0
        for block in self._stored:
            if name in self._keys:
                is_null = dict(block.data.file.keys)[name] is None
                count: int | None = block.stored_rows if is_null else 0
            else:
                count = block.data.null_count(block.number, name)
            if count is None:
                return None
            total += count
        return total

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block in pieces of some MiB.

        Parameters
        ----------
        block : int
            The index in ``blocks``.
        names : sequence of str
            The fields to read.

        Raises
        ------
        SourceError
            If the file is damaged, or not the one that was opened.
        ValueError
            If there is a null that is refused.
        """
        fields = choose_fields(self._fields, names)
        stored, start = self._blocks[block], self._starts[block]
        path = stored.data.file.path
        # Which rows are dropped must not depend on the fields that are read.
        others = [self._fields[name] for name in stored.nulls if name not in names]
        chosen = [*fields, *others]
        for num_rows, columns in _decode(stored, start, chosen, self._keys, self._kinds):
            if stored.nulls:
                complete = complete_rows([null for _, null in columns.values()], num_rows)
                yield {name: columns[name][0][complete] for name in names}
            else:
                yield {name: without_nulls(name, columns[name], start, path) for name in names}
                start += num_rows


def _open(format_name: ArrowFormat, paths: Sequence[File], csv: CsvOptions) -> Sequence[DataFile]:
    """Read the metadata of files."""
    # The types of CSV columns depend on all files together.
    if format_name == "csv":
        return open_csv(paths, csv)
    with ThreadPoolExecutor(OPENERS) as executor:
        return list(executor.map(open_parquet if format_name == "parquet" else open_ipc, paths))


def _batches(
    block: Block, start: int, names: Sequence[str], num_rows: int
) -> Iterator[pa.RecordBatch | pa.Array]:
    """Yield columns of a block as record batches, with errors that name the file and the rows.

    Without names (only columns of partitions are read), arrays of nulls give the lengths.
    """
    data = block.data
    part = f"{data.describe_block(block.number)} (rows {start} to {start + block.num_rows - 1})"
    count = 0
    with reading(data.file, part):
        data.file.check()
        if not names:
            yield from map(pa.nulls, even_blocks(block.stored_rows, num_rows))
            return
        for batch in data.batches(block.number, names, num_rows):
            count += len(batch)
            yield batch
    if count != block.stored_rows:
        raise SourceError(
            f"`{data.file.path}` must hold {block.stored_rows} rows in its {part}, got {count}.\n"
            "Hint: the file is damaged; write it again."
        )


def _decode(
    block: Block,
    start: int,
    fields: Sequence[Field],
    keys: Mapping[str, pa.DataType],
    kinds: Mapping[str, pa.DataType],
) -> Iterator[tuple[int, dict[str, Masked]]]:
    """Yield pieces of a block: the number of rows, and the values and nulls of each field."""
    texts = dict(block.data.file.keys)
    stored = [field.name for field in fields if field.name not in keys]
    block_bytes = block.stored_rows * sum(field.row_bytes for field in fields)
    num_pieces = max(1, -(-block_bytes // PIECE_BYTES))
    for batch in _batches(block, start, stored, max(1, -(-block.stored_rows // num_pieces))):
        num_rows = len(batch)
        columns = {
            field.name: partition_values(texts[field.name], keys[field.name], num_rows)
            if field.name in keys
            else common_column(batch[field.name], kinds[field.name], field, block.data.file)
            for field in fields
        }
        yield num_rows, {field.name: arrow_values(columns[field.name], field) for field in fields}


def _find_categories(
    blocks: Sequence[Block], kinds: Mapping[str, pa.DataType], keys: Mapping[str, pa.DataType]
) -> dict[str, tuple[str, ...]]:
    """Return the categories of dictionary columns, by a pass over these columns."""
    coded = [name for name, kind in kinds.items() if types.is_dictionary(kind)]
    stored = [name for name in coded if name not in keys]
    # Each different table once, in order: a dict with None as values is an ordered set.
    tables: dict[str, dict[tuple[str, ...], None]] = {name: {} for name in coded}
    # Most batches have the table of the one before, which Arrow compares faster than Python.
    last: dict[str, pa.Array] = {}
    start = 0
    for block in blocks:
        for name, text in block.data.file.keys:
            if name in tables and text is not None:
                tables[name][text,] = None
        for batch in _batches(block, start, stored, DICTIONARY_ROWS) if stored else ():
            for name in stored:
                if types.is_null(batch[name].type):
                    continue
                words = dictionary_words(batch[name])
                if name not in last or not words.equals(last[name]):
                    tables[name][tuple(words.drop_null().to_pylist())] = None
                last[name] = words
        start += block.num_rows
    return {
        name: tuple(merge_categories(name, list(of_name), ordered=kinds[name].ordered))
        for name, of_name in tables.items()
    }


def _without_nulls(
    blocks: Sequence[Block],
    fields: Mapping[str, Field],
    keys: Mapping[str, pa.DataType],
    kinds: Mapping[str, pa.DataType],
) -> tuple[Block, ...]:
    """Return blocks of the rows without nulls, by a pass over the columns that may hold some."""
    complete_blocks, start = [], 0
    for block in blocks:
        data, with_nulls, num_rows = block.data, set(), 0
        texts = dict(data.file.keys)
        suspects = [
            field
            for field in fields.values()
            if (
                texts[field.name] is None
                if field.name in keys
                else data.null_count(block.number, field.name) != 0
            )
        ]
        for count, columns in _decode(block, start, suspects, keys, kinds) if suspects else ():
            nulls = {name: null for name, (_, null) in columns.items() if null is not None}
            with_nulls |= {name for name, null in nulls.items() if null.any()}
            num_rows += int(complete_rows(list(nulls.values()), count).sum())
        start += block.num_rows
        if not with_nulls:
            complete_blocks.append(block)
        elif num_rows:
            nulls_of = tuple(sorted(with_nulls))
            complete_blocks.append(replace(block, num_rows=num_rows, nulls=nulls_of))
    if not complete_blocks:
        raise ValueError(
            f"`nulls` must leave at least one row, got a null in each of {start}.\n"
            "Hint: leave out columns that are mostly null with `columns`."
        )
    return tuple(complete_blocks)


def _count(blocks: Sequence[Block]) -> int:
    return sum(block.num_rows for block in blocks)
