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
from bayou.sources.base.row_numbers import check_rows
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table


class Source(ABC):
    """A table of rows with named fields: the contract of all sources.

    Implementing a source: subclass this, or write a class with the same three members, ``fields``,
    ``blocks`` and ``read``, which :func:`bayou.source` then adds the rest to. What must hold:

    - Rows are numbered from 0 through the blocks, in their order.
    - Reading does not change what a later read returns: the rows of a block are always the same.
    - Several threads may read at once.
    - A source can be pickled if its storage can, such as files by their paths.

    :func:`bayou.testing.check_source` checks a source against this contract.
    """

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in the order of the storage."""

    @property
    @abstractmethod
    def blocks(self) -> Sequence[int | None]:
        """The number of rows of each block, None for a block whose rows only reading counts."""

    @abstractmethod
    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows of a block, in order, as one table or several smaller ones.

        A table must keep its values after the next one is yielded: a reader in another thread asks
        for the next while it uses this one.

        Parameters
        ----------
        block : int
            The index in ``blocks``.
        names : sequence of str
            The fields to read. The tables hold these, in this order.

        Yields
        ------
        dict of str to ndarray, shapes ``(rows, *field.shape)``
        """

    @property
    def num_rows(self) -> int | None:
        """The number of rows of all blocks, None if it is not known."""
        sizes = [size for size in self.blocks if size is not None]
        return sum(sizes) if len(sizes) == len(self.blocks) else None

    @property
    def num_dropped(self) -> int | None:
        """The number of rows left out because of nulls, None if it is not known yet.

        They are in no block, and have no number.
        """
        return 0

    @property
    def where(self) -> str | None:
        """The path of the rows, for messages. None if they have none."""
        return None

    def __repr__(self) -> str:
        """Return where the rows are, how many there are, and their fields."""
        where = [] if self.where is None else [repr(self.where)]
        rows = "rows not counted yet" if self.num_rows is None else f"{self.num_rows:,} rows"
        fields = f"fields [{describe_fields(self.fields)}]"
        return f"{type(self).__name__}({', '.join([*where, rows, fields])})"

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the number of nulls of each field, as far as it is known without reading.

        Returns
        -------
        dict of str to (int or None)
            By field, those of dropped rows included. None if only reading would count them.
        """
        return dict.fromkeys(self.fields)

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return the least and the largest value of a field of integers, without reading.

        Parameters
        ----------
        block : int
            The index in ``blocks``.
        name : str
            The field.

        Returns
        -------
        tuple of (int, int) or None
            The least and the largest value in the block, None if they are not known.
        """
        return None

    def grouped(self, names: Sequence[str], count: str) -> Source | None:
        """Return a source of the distinct rows, where the storage itself can group them.

        Parameters
        ----------
        names : sequence of str
            The fields by which rows are told apart.
        count : str
            The name of the field with the number of rows of each.

        Returns
        -------
        Source or None
            A source of these fields and the count; None if the rows must be read to group them.
        """
        return None

    @property
    def random_access(self) -> bool:
        """Whether ``take`` costs as much as the rows that it returns, instead of their blocks."""
        return False

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return rows by their numbers, in any order; a number may come several times.

        By default, this reads the blocks that hold the rows, and all blocks before them whose size
        is not known.

        Parameters
        ----------
        rows : ndarray of int64, shape (count,)
            The numbers of the rows, from 0.
        names : sequence of str
            The fields to read.

        Returns
        -------
        dict of str to ndarray, shapes ``(count, *field.shape)``

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
        # The rows are filled in by rising number, so that each block is read once.
        order = np.argsort(rows, kind="stable")
        ranked = rows[order]
        # The number of the first row of the table at hand, and how many rows are filled in.
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
        # All blocks are read: only now the number of rows is known, and a row is beyond it.
        check_rows(rows, start)
        return taken

    @overload
    def __getitem__(self, name: str) -> Column: ...
    @overload
    def __getitem__(self, name: list[str]) -> Column: ...
    def __getitem__(self, name: str | list[str]) -> Column:
        """Return one field, or several as the columns of a matrix. No row is read.

        Parameters
        ----------
        name : str or list of str
            The name of a field, or the names of several.

        Returns
        -------
        Column
            The rows stay in this source until a container or a feed reads them.

        Raises
        ------
        TypeError
            If `name` is neither, or the fields cannot be the columns of one matrix.
        ValueError
            If there is no such field, or a name comes twice.
        """
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
        The source of the rows.
    name : str or tuple of str
        The field, or the fields of the matrix in their order.
    cast : numpy.dtype, optional
        The dtype that the values are cast to, if :meth:`astype` was called.

    Raises
    ------
    ValueError
        If the source has no such field, or a name comes twice or not at all.
    TypeError
        If the fields of a matrix have no common dtype, or several values a row.

    Examples
    --------
    >>> rows = by.source({"x": [0.5, 1.5], "day": [3, 4], "late": [True, False]})
    >>> rows["day"].dtype, rows["day"].shape
    (dtype('int64'), ())
    >>> rows[["x", "day"]].dtype, rows[["x", "day"]].shape
    (dtype('float64'), (2,))
    """

    source: Source
    name: str | tuple[str, ...]
    cast: np.dtype | None = None

    def __post_init__(self) -> None:
        """Check the names, and that the fields can be the columns of one matrix."""
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
        """The names of the fields."""
        return (self.name,) if isinstance(self.name, str) else self.name

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields, in the order of the names."""
        return tuple(self.source.fields[name] for name in self.names)

    @property
    def categories(self) -> tuple[str, ...] | None:
        """The texts that the codes stand for, if it is one field of categories."""
        return self.fields[0].categories

    @cached_property
    def dtype(self) -> np.dtype:
        """The dtype of the values: that of :meth:`astype`, else the common one of the fields."""
        return self._common if self.cast is None else self.cast

    @cached_property
    def _common(self) -> np.dtype:
        return np.result_type(*(field.dtype for field in self.fields))

    def astype(self, dtype: np.dtype) -> Column:
        """Return the same column with its values cast to a dtype.

        Parameters
        ----------
        dtype : numpy.dtype
            The dtype. The cast may lose digits, as that of NumPy's ``astype``.

        Returns
        -------
        Column
        """
        return replace(self, cast=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row: that of the field, or ``(k,)`` for a matrix of k fields."""
        return self.fields[0].shape if isinstance(self.name, str) else (len(self.name),)

    @property
    def num_rows(self) -> int | None:
        """The number of rows of the source, None if it is not known."""
        return self.source.num_rows

    def array(self, table: Table, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the rows of a table that was read from the source as one array.

        Parameters
        ----------
        table : dict of str to ndarray, shapes ``(rows, *field.shape)``
            A table that has at least the fields of this column.
        out : ndarray of ``dtype``, shape ``(rows, *shape)``, optional
            The array to write to. Without it, a field of this dtype is returned without a copy.

        Returns
        -------
        ndarray of ``dtype``, shape ``(rows, *shape)``

        Raises
        ------
        TypeError
            If a field holds text or other objects.
        ValueError
            If a value of a field would lose digits in the common dtype of the matrix.
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
