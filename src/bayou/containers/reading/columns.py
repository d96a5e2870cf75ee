"""The columns that a data container was built from, and the kinds of columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable

    from bayou.sources.base.field import Field

type MissingPolicy = Literal["refuse", "impute", "drop"]
"""The treatment of missing values in the columns of a container."""


class ColumnKind(Enum):
    """The kinds of columns that containers tell apart, each by its name in messages."""

    NUMBERS = "numbers or booleans"
    DATES = "dates"
    DURATIONS = "durations or times of day"
    CATEGORIES = "text or categories"
    OTHER = "values of another kind"


@dataclass(frozen=True)
class Columns:
    """The columns that a data container was built from, and takes again from new data.

    Attributes
    ----------
    names : tuple of str
        The columns, in the order of the container.
    is_matrix : bool
        Whether the user passed a list of columns: each is then a column of the container's last
        axis.
    categories : tuple of str or None
        The categories that the container's codes 0, 1, ... stand for.
    categories_dim : str or None
        The dim whose coords are the categories.
    unknown : str or None
        The category assigned to values outside `categories`; None makes them an error.
    missing : {"refuse", "impute", "drop"}
        What is done about missing values.
    num_dropped : int
        The number of rows that were dropped for missing values, of this or another container of
        the dim.
    source : str
        Where the rows came from, for messages: "pandas.DataFrame", or a path.
    dates : tuple of str
        The columns with dates, which the container holds as days since 1970-01-01.
    durations : tuple of str
        The columns with durations or times of day, which the container holds in days.
    """

    names: tuple[str, ...]
    is_matrix: bool
    categories: tuple[str, ...] | None
    categories_dim: str | None
    unknown: str | None
    missing: MissingPolicy
    num_dropped: int
    source: str
    dates: tuple[str, ...] = ()
    durations: tuple[str, ...] = ()

    @property
    def is_converted(self) -> bool:
        """Whether the container holds codes or days in the place of the columns' own values."""
        return self.categories is not None or bool(self.dates or self.durations)


def columns_of(variable: Variable) -> Columns | None:
    """Return the columns that a container was built from; None if it was built from an array."""
    columns: Columns | None = getattr(getattr(variable, "tag", None), "columns", None)
    return columns


def kind_of(field: Field) -> ColumnKind:
    """Return the kind of a field of a source."""
    if field.categories is not None or (field.dtype == object and field.stored_type is None):
        return ColumnKind.CATEGORIES
    if field.dtype.kind in "mM":
        return ColumnKind.DATES if field.dtype.kind == "M" else ColumnKind.DURATIONS
    return ColumnKind.NUMBERS if field.dtype.kind in "biuf" else ColumnKind.OTHER


def kind_text(field: Field) -> str:
    """Return the kind of a field for messages: its dtype if it is none that containers take."""
    kind = kind_of(field)
    return field.stored_type or str(field.dtype) if kind is ColumnKind.OTHER else kind.value
