"""What a file of rows is, whatever its format: a schema, and blocks of Arrow record batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.paths import File


class DataFile(ABC):
    """A file whose metadata have been read; each ``batches`` opens it anew and closes it.

    Attributes
    ----------
    file : File
        Where it is.
    schema : pyarrow.Schema
        Its columns.
    """

    file: File
    schema: Any

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """The rows of each block."""

    @abstractmethod
    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[Any]:
        """Yield a block as record batches.

        Parameters
        ----------
        block : int
            Its place in ``sizes``.
        names : sequence of str
            The columns that are wanted; others may come along.
        num_rows : int
            About how many rows a batch is to have.
        """

    def null_count(self, block: int, name: str) -> int | None:
        """Return the rows of a block in which a column is null; None if metadata do not tell it."""
        return None

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return what the values of a column of integers in a block lie between, if it is told."""
        return None

    @abstractmethod
    def place(self, block: int) -> str:
        """Say what of the file a block is: "row group 3"."""
