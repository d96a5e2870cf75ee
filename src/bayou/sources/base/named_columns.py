"""Columns chosen by name from anything that has named ones, with marks for missing values.

Null, None, masked, NaN and NaT all count as missing. In the source of the columns, a missing number
is NaN (integers become float64), a missing date is NaT, and a missing category is the code -1; text
becomes categories. Only the columns that are asked for are read. Each kind of data has a class of
named columns of its own; the table of kinds (``sources.kinds``) says which.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

    from bayou.sources.base.source import Source


@dataclass(frozen=True, eq=False)
class NamedColumns(ABC):
    """Something with named columns, of which none has been read yet.

    Attributes
    ----------
    names : tuple
        The names of the columns. Those of pandas need not be text.
    description : str
        Where the columns come from, for messages: "pandas.DataFrame", or a path.
    is_series : bool
        Whether it is one column by itself.
    """

    names: tuple[Hashable, ...]
    description: str
    is_series: bool = field(default=False, kw_only=True)

    @abstractmethod
    def open(self, names: Sequence[str]) -> Source:
        """Return a source of some of the columns.

        Parameters
        ----------
        names : sequence of str
            Names of columns that there are.

        Returns
        -------
        Source
            Integers with missing values are floats; ``Field.unmarked`` is their own dtype.

        Raises
        ------
        TypeError
            If a column holds other values than numbers, booleans, dates, text or categories.
        ValueError
            If two columns have one of the names, if lengths differ, or if a column with missing
            values holds integers that float64 does not hold exactly.
        """

    @property
    def is_in_memory(self) -> bool:
        """Whether the values of the columns are in memory, outside of a source."""
        return False

    def row_labels(self, names: Sequence[str]) -> pd.Index | None:
        """Return the labels of the rows of some columns, None if they have no index."""
        return None

    def collect(self, names: Sequence[str]) -> NamedColumns:
        """Return the same with some of the columns in memory, if it is a query that did not run."""
        return self


@dataclass(frozen=True, eq=False)
class SourceColumns(NamedColumns):
    """The fields of a source.

    Attributes
    ----------
    source : Source
        The source.
    """

    source: Source

    def open(self, names: Sequence[str]) -> Source:
        """Return the source itself, whose columns are chosen as they are read."""
        return self.source
