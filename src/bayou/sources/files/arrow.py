"""Rows in Parquet, Arrow IPC and CSV files: decoded by pyarrow, a piece of a block at a time.

The metadata of all files are read once, when the source is opened. Reading holds one piece of some
MiB and, of compressed IPC files, one record batch; of files far away, what is stored of a block.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from pyarrow import types

from bayou.errors import SourceError
from bayou.sources.base.arrow_values import arrow_field, arrow_values, dictionary_words
from bayou.sources.base.field import choose_fields
from bayou.sources.base.nulls import check_nulls, complete_rows, without_nulls
from bayou.sources.base.source import Source, even_blocks
from bayou.sources.files.csv import open_csv
from bayou.sources.files.ipc import open_ipc
from bayou.sources.files.listed_file import reading
from bayou.sources.files.parquet import open_parquet
from bayou.sources.files.paths import find_files
from bayou.sources.files.schema import (
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
    from bayou.sources.files.paths import Paths

# The rows that are decoded at once take at most so much. All threads wait for the last at the end
# of a piece, so that blocks of a common size are best decoded whole.
PIECE_BYTES = 20 * 2**20
# Files whose metadata are read at the same time: on a filesystem far away, that is waiting.
OPENERS = 16
# The rows of dictionaries that are decoded at once, to find what is in them.
DICTIONARY_ROWS = 2**18


@dataclass(frozen=True)
class Block:
    """A block of one of the files.

    Attributes
    ----------
    data : DataFile
        The file.
    number : int
        The block's place in it.
    num_rows : int
        Its rows, less those that are dropped for their nulls.
    nulls : tuple of str
        The fields whose nulls have their rows dropped.
    """

    data: DataFile
    number: int
    num_rows: int
    nulls: tuple[str, ...] = ()

    @property
    def stored_rows(self) -> int:
        """Its rows in the file."""
        return self.data.sizes[self.number]


class ArrowSource(Source):
    """Rows of Parquet, Arrow IPC (Feather) or CSV files.

    Parameters
    ----------
    what : str, path, or sequence of them
        Files, folders or globs, local or as URLs such as "s3://bucket/flights/**/*.parquet". Names
        of folders such as "year=2013" are columns: of int64 where all are whole numbers, else of
        categories.
    format : {"parquet", "ipc", "csv"}, optional
        By default it is told by how the files' names end.
    columns : sequence of str, optional
        The columns to keep; by default all.
    filesystem : pyarrow.fs.FileSystem or fsspec filesystem, optional
        Where the paths are.
    nulls : {"refuse", "drop"}
        Whether a null is an error when it is read, or its row is left out; that takes a pass over
        the columns that may hold one.

    Raises
    ------
    SourceError
        If a file cannot be read.
    FileNotFoundError
        If there are no files.
    ValueError
        If files have other columns than the first, or no rows, or for another value of an
        argument.
    TypeError
        If a column is of different types in the files, or of a decimal type.

    Notes
    -----
    Blocks are row groups, record batches (small ones together) and stretches of lines. A block
    is read with one pass through it, so its rows are not to be had at random. A column of Arrow
    dictionaries is one of codes of the same categories in all files: the first pass that finds them
    reads the column once. Compressed CSV files are not read.

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
        format: Literal["parquet", "ipc", "csv"] | None = None,  # noqa: A002
        columns: Sequence[str] | None = None,
        filesystem: Any = None,
        nulls: Nulls = "refuse",
    ) -> None:
        check_nulls(nulls)
        found, paths = find_files(what, format, filesystem)
        files = _open(found, paths)
        kinds = common_types(files, columns)
        blocks = tuple(
            Block(data, number, size)
            for data in files
            for number, size in enumerate(data.sizes)
            if size
        )
        if not blocks:
            raise ValueError(
                f"`what` must hold rows, got {len(files)} files without any, the first of them "
                f"{files[0].file.path}.\nHint: check what wrote the files."
            )
        self._keys = partition_types(files)
        categories = _find_categories(blocks, kinds, self._keys)
        self._fields = {
            name: arrow_field(name, kind, categories.get(name)) for name, kind in kinds.items()
        }
        self._stored = self._blocks = blocks
        if nulls == "drop":
            self._blocks = _without_nulls(blocks, self._fields, self._keys)
        self._num_dropped = _count(blocks) - _count(self._blocks)
        self._starts = tuple(accumulate((block.num_rows for block in self._blocks), initial=0))

    @property
    def fields(self) -> Mapping[str, Field]:
        """The columns that are kept, by name, in the order of the first file."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The rows of each block, less those that are dropped."""
        return tuple(block.num_rows for block in self._blocks)

    @property
    def num_dropped(self) -> int:
        """The rows left out for their nulls."""
        return self._num_dropped

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that hold the rows, in their order."""
        return tuple(dict.fromkeys(block.data.file.path for block in self._blocks))

    @property
    def where(self) -> str:
        """The first of the files, and how many more there are."""
        first, *others = self.paths
        return first if not others else f"{first} and {len(others)} more"

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the nulls of each field in the files, where their metadata tell them."""
        return {name: self._null_count(name) for name in self._fields}

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return what the whole numbers of a field in a block lie between, if metadata tell it."""
        found = self._blocks[block]
        # Where rows are left out, the least or the largest value may be in one of them.
        if name in self._keys or found.nulls:
            return None
        return found.data.bounds(found.number, name)

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
        """Yield a block, a piece of some MiB at a time.

        Parameters
        ----------
        block : int
            Its place in ``blocks``.
        names : sequence of str
            The fields that are wanted.

        Raises
        ------
        SourceError
            If the file is damaged, or not the one that was opened.
        ValueError
            If there is a null.
        """
        fields = choose_fields(self._fields, names)
        found, start = self._blocks[block], self._starts[block]
        path = found.data.file.path
        others = [self._fields[name] for name in found.nulls if name not in names]
        for num_rows, columns in _decode(found, start, [*fields, *others], self._keys):
            if found.nulls:
                complete = complete_rows([null for _, null in columns.values()], num_rows)
                yield {name: columns[name][0][complete] for name in names}
            else:
                yield {name: without_nulls(name, columns[name], start, path) for name in names}
                start += num_rows


def _open(format_name: str, paths: Sequence[File]) -> Sequence[DataFile]:
    """Read the metadata of files."""
    if format_name == "csv":
        return open_csv(paths)
    with ThreadPoolExecutor(OPENERS) as executor:
        return list(executor.map(open_parquet if format_name == "parquet" else open_ipc, paths))


def _batches(block: Block, start: int, names: Sequence[str], num_rows: int) -> Iterator[Any]:
    """Yield columns of a block as record batches, or say where reading them failed.

    Without names, arrays that are as long as the batches would be stand for them.
    """
    data = block.data
    place = f"{data.describe_block(block.number)} (rows {start} to {start + block.num_rows - 1})"
    found = 0
    with reading(data.file, place):
        data.file.check()
        if not names:
            yield from map(pa.nulls, even_blocks(block.stored_rows, num_rows))
            return
        for batch in data.batches(block.number, names, num_rows):
            found += len(batch)
            yield batch
    if found != block.stored_rows:
        raise SourceError(
            f"`{data.file.path}` must hold {block.stored_rows} rows in its {place}, got {found}.\n"
            "Hint: the file is damaged; write it anew."
        )


def _decode(
    block: Block, start: int, fields: Sequence[Field], keys: Mapping[str, Any]
) -> Iterator[tuple[int, dict[str, Masked]]]:
    """Yield pieces of a block: how many rows, and the values and nulls of each field."""
    texts = dict(block.data.file.keys)
    stored = [field.name for field in fields if field.name not in keys]
    block_bytes = block.stored_rows * sum(field.row_bytes for field in fields)
    num_pieces = max(1, -(-block_bytes // PIECE_BYTES))
    for batch in _batches(block, start, stored, max(1, -(-block.stored_rows // num_pieces))):
        num_rows = len(batch)
        columns = {
            field.name: partition_values(texts[field.name], keys[field.name], num_rows)
            if field.name in keys
            else batch[field.name]
            for field in fields
        }
        yield num_rows, {field.name: arrow_values(columns[field.name], field) for field in fields}


def _find_categories(
    blocks: Sequence[Block], kinds: Mapping[str, Any], keys: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """Pass through the columns of dictionaries; return what their codes stand for."""
    coded = [name for name, kind in kinds.items() if types.is_dictionary(kind)]
    stored = [name for name in coded if name not in keys]
    # Tables that come again are kept once: a dict is a set that keeps its order.
    tables: dict[str, dict[tuple[str, ...], None]] = {name: {} for name in coded}
    last: dict[str, Any] = {}
    start = 0
    for block in blocks:
        for name, text in block.data.file.keys:
            if name in tables and text is not None:
                tables[name][text,] = None
        for batch in _batches(block, start, stored, DICTIONARY_ROWS) if stored else ():
            for name in stored:
                words = dictionary_words(batch[name])
                if name not in last or not words.equals(last[name]):
                    tables[name][tuple(words.drop_null().to_pylist())] = None
                last[name] = words
        start += block.num_rows
    return {
        name: tuple(merge_categories(name, list(found), ordered=kinds[name].ordered))
        for name, found in tables.items()
    }


def _without_nulls(
    blocks: Sequence[Block], fields: Mapping[str, Field], keys: Mapping[str, Any]
) -> tuple[Block, ...]:
    """Pass through the columns that may hold nulls; return blocks of the rows that have none."""
    kept, start = [], 0
    for block in blocks:
        data, found, num_rows = block.data, set(), 0
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
        for count, columns in _decode(block, start, suspects, keys) if suspects else ():
            nulls = {name: null for name, (_, null) in columns.items() if null is not None}
            found |= {name for name, null in nulls.items() if null.any()}
            num_rows += int(complete_rows(list(nulls.values()), count).sum())
        start += block.num_rows
        if not found:
            kept.append(block)
        elif num_rows:
            kept.append(replace(block, num_rows=num_rows, nulls=tuple(sorted(found))))
    if not kept:
        raise ValueError(
            f"`nulls` must leave a row, got a null in each of {start}.\n"
            "Hint: leave out columns that are mostly null with `columns`."
        )
    return tuple(kept)


def _count(blocks: Sequence[Block]) -> int:
    return sum(block.num_rows for block in blocks)
