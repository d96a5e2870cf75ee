"""The contract of a file of rows, whatever its format: a schema, and blocks of record batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from bayou.sources.files.listed_file import File


class DataFile(ABC):
    """A file whose metadata have been read. It is open only while ``batches`` yields.

    Implementing a format: a frozen dataclass that can be pickled, with ``file``, ``schema``,
    ``sizes``, ``batches`` and ``describe_block``; and a function that opens a :class:`File`.
    Statistics of a block are used where the format has them.

    Attributes
    ----------
    file : File
        The file as it was listed.
    schema : pyarrow.Schema
        Its columns, those of partitions not among them.
    """

    file: File
    schema: pa.Schema

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each block."""

    @abstractmethod
    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a block, in order.

        Parameters
        ----------
        block : int
            The index in ``sizes``.
        names : sequence of str
            The columns to read. The batches may have more.
        num_rows : int
            The number of rows that a batch should have, about.
        """

    def null_count(self, block: int, name: str) -> int | None:
        """Return the number of rows of a block in which a column is null.

        None if the metadata do not have it. If they have only whether there are nulls, 0 stands for
        none.
        """
        return None

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return the least and the largest value of a column of integers in a block.

        None if the metadata do not have them, or the column is not of integers.
        """
        return None

    @abstractmethod
    def describe_block(self, block: int) -> str:
        """Return the name of a block in the words of the format, such as "row group 3"."""
