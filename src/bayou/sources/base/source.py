"""The contract of a source, and the columns of it that a container takes.

A source has rows with named fields, in blocks that its storage reads at once. ``read`` yields a
block, ``take`` rows of any numbers; all else has a default that is right for any source.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from bayou.sources.base.field import check_no_text, choose_fields, describe_fields
from bayou.sources.base.matrix import check_exact, check_matrix
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table


class Source(ABC):
    """A table of rows: subclass it, or have the same attributes, to bring rows of your own.

    Three members are needed: ``fields``, ``blocks`` and ``read``. Rows are numbered from 0 through
    the blocks, in their order. Reading must not change what a later read returns, several threads
    may read at once, and a source can be pickled where what holds its rows can.
    """

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in the order of the storage."""

    @property
    @abstractmethod
    def blocks(self) -> Sequence[int | None]:
        """The number of rows of each block; None where only reading tells it."""

    @abstractmethod
    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows of a block, in order, as one table or several smaller ones.

        A table keeps its values when the next one is asked for, which is while it is still in use.

        Parameters
        ----------
        block : int
            Its place in ``blocks``.
        names : sequence of str
            The fields that are wanted; the tables hold these, in this order.

        Yields
        ------
        dict of str to ndarray, shapes (rows, *field.shape)
        """

    @property
    def num_rows(self) -> int | None:
        """The rows of all blocks; None if unknown."""
        sizes = [size for size in self.blocks if size is not None]
        return sum(sizes) if len(sizes) == len(self.blocks) else None

    @property
    def num_dropped(self) -> int | None:
        """The rows left out for their nulls, which no number counts; None if not yet known."""
        return 0

    @property
    def where(self) -> str | None:
        """The path that its rows are at; None if there is none."""
        return None

    def __repr__(self) -> str:
        """Write where the rows are, how many there are, and their fields."""
        where = [] if self.where is None else [repr(self.where)]
        rows = "rows not counted yet" if self.num_rows is None else f"{self.num_rows:,} rows"
        fields = f"fields [{describe_fields(self.fields)}]"
        return f"{type(self).__name__}({', '.join([*where, rows, fields])})"

    def null_counts(self) -> Mapping[str, int | None]:
        """Count the nulls of each field, without reading.

        Returns
        -------
        dict of str to (int or None)
            By field, those of dropped rows included; None where only reading would tell.
        """
        return dict.fromkeys(self.fields)

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Tell what the whole numbers of a field in a block lie between, without reading.

        Parameters
        ----------
        block : int
            Its place in ``blocks``.
        name : str
            The field.

        Returns
        -------
        tuple of (int, int) or None
            The least and the largest value of the block; None if they are not known.
        """
        return None

    @property
    def random_access(self) -> bool:
        """Whether ``take`` costs what the rows cost that it returns, and no whole blocks."""
        return False

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return some rows, in the order asked for; a row may be asked for several times.

        Unless a source has its own way, this reads the blocks that hold the rows, and all blocks
        before them whose size is unknown.

        Parameters
        ----------
        rows : ndarray of int64, shape (count,)
            Their numbers, from 0.
        names : sequence of str
            The fields that are wanted.

        Returns
        -------
        dict of str to ndarray, shapes (count, *field.shape)

        Raises
        ------
        IndexError
            If there is no such row.
        """
        check_rows(rows, self.num_rows)
        fields = choose_fields(self.fields, names)
        taken = {
            field.name: np.empty((len(rows), *field.shape), dtype=field.dtype) for field in fields
        }
        order = np.argsort(rows, kind="stable")
        ranked = rows[order]
        start = done = 0
        if not taken or not len(rows):
            return taken
        for block, size in enumerate(self.blocks):
            if size is not None and ranked[done] >= start + size:
                start += size
                continue
            for table in self.read(block, names):
                stop = start + len(table[names[0]])
                end = int(np.searchsorted(ranked, stop))
                for name, values in taken.items():
                    values[order[done:end]] = table[name][ranked[done:end] - start]
                start, done = stop, end
                if done == len(rows):
                    return taken
        check_rows(rows, start)
        return taken

    @overload
    def __getitem__(self, name: str) -> Column: ...
    @overload
    def __getitem__(self, name: list[str]) -> Column: ...
    def __getitem__(self, name: str | list[str]) -> Column:
        """Return one field, or several as a matrix, still on the rows of this source."""
        if not isinstance(name, str | list | tuple):
            raise TypeError(
                f"`name` must be the name of a field or a list of names, got {name!r}.\n"
                'Hint: write source["y"] or source[["x1", "x2"]]; for rows, call take.'
            )
        return Column(self, name if isinstance(name, str) else tuple(name))


@dataclass(frozen=True, eq=False)
class Column:
    """A field of a source, or several side by side as a matrix: ``source["y"]``.

    Attributes
    ----------
    source : Source
        Where its rows are.
    name : str or tuple of str
        The field, or the fields of the matrix in their order.
    cast : numpy.dtype, optional
        What its values are cast to, by :meth:`astype`.

    Raises
    ------
    ValueError
        If the source has no such field, or a name comes twice or not at all.
    TypeError
        If fields have no common dtype that holds the values of each, or are of several numbers a
        row.
    """

    source: Source
    name: str | tuple[str, ...]
    cast: np.dtype[Any] | None = None

    def __post_init__(self) -> None:
        """Check the names, and that the fields go side by side."""
        choose_fields(self.source.fields, self.names)
        if isinstance(self.name, str):
            return
        if not self.name:
            raise ValueError(
                "`name` must name at least one field, got an empty list.\n"
                f"Hint: the fields are {listed(self.source.fields)}."
            )
        check_matrix(self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields that it takes."""
        return (self.name,) if isinstance(self.name, str) else self.name

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields that it takes."""
        return tuple(self.source.fields[name] for name in self.names)

    @property
    def categories(self) -> tuple[str, ...] | None:
        """What its codes stand for, where it is one field of categories."""
        return self.fields[0].categories

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its values: the common one of its fields, unless they are cast."""
        return self._common if self.cast is None else self.cast

    @cached_property
    def _common(self) -> np.dtype[Any]:
        return np.result_type(*(field.dtype for field in self.fields))

    def astype(self, dtype: np.dtype[Any]) -> Column:
        """Return the same column, whose values are cast to a dtype.

        Parameters
        ----------
        dtype : numpy.dtype
            What is lost by that is asked for.

        Returns
        -------
        Column
        """
        return replace(self, cast=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row: that of the field, or (k,) for a matrix of k fields."""
        return self.fields[0].shape if isinstance(self.name, str) else (len(self.name),)

    @property
    def num_rows(self) -> int | None:
        """The rows of the source; None if unknown."""
        return self.source.num_rows

    def array(self, table: Table, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the rows of a table that was read from the source as one array.

        Parameters
        ----------
        table : dict of str to ndarray
            At least the fields of this column, of as many rows each.
        out : ndarray of ``dtype``, shape (rows, *shape), optional
            Where to write; without it, one field is returned as it is.

        Returns
        -------
        ndarray of ``dtype``, shape (rows, *shape)

        Raises
        ------
        TypeError
            If the column is text, or what else has no values to compute with.
        ValueError
            If the common dtype of the fields does not hold a value of one of them.
        """
        check_no_text(self.fields)
        if isinstance(self.name, str):
            if out is None:
                return table[self.name].astype(self.dtype, copy=False)
            out[...] = table[self.name]
            return out
        if out is None:
            out = np.empty((len(table[self.name[0]]), len(self.name)), dtype=self.dtype)
        for position, field in enumerate(self.fields):
            values = table[field.name]
            out[:, position] = values
            check_exact(field, values, self._common)
        return out


def check_rows(rows: NDArray[np.int64], num_rows: int | None) -> None:
    """Check that there are rows of these numbers; num_rows is None where it is unknown.

    Raises
    ------
    TypeError
        If `rows` is no array of int64.
    IndexError
        If there is no such row.
    """
    dtype = getattr(rows, "dtype", None)
    if dtype != np.int64:
        got = dtype or type(rows).__name__
        raise TypeError(
            f"`rows` must be an array of int64, got {got}.\n"
            "Hint: convert it with numpy.asarray(rows, dtype=numpy.int64)."
        )
    limit = np.iinfo(np.int64).max if num_rows is None else num_rows
    # Read without a sign, a negative number is beyond every number of rows.
    if rows.size and rows.view(np.uint64).max() >= limit:
        wrong = rows[(rows < 0) | (rows >= limit)][0]
        below = "" if num_rows is None else f" and below the number of rows, {num_rows}"
        raise IndexError(
            f"`rows` must be at least 0{below}, got {wrong}.\nHint: rows are numbered from 0."
        )


def even_blocks(num_rows: int, size: int = 2**16) -> tuple[int, ...]:
    """Cut rows into blocks of one size, the last one smaller where it must be.

    Examples
    --------
    >>> even_blocks(10, 4)
    (4, 4, 2)
    """
    whole, rest = divmod(num_rows, size)
    return (size,) * whole + ((rest,) if rest else ())
