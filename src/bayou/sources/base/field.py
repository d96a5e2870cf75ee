"""The columns of a source: their names, dtypes and shapes, and the tables that hold their values.

A source says what fields it has; what it yields are tables, one array a field.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

type Table = dict[str, NDArray[Any]]
"""Values by field name, shapes (rows, *field.shape). They may be views: do not write to them."""

# The repr of a source lists so many fields, which is about two lines of a terminal.
SHOWN_FIELDS = 8


@dataclass(frozen=True)
class Field:
    """A named column of a source.

    Attributes
    ----------
    name : str
        The name of the column.
    dtype : numpy.dtype
        The dtype of the values, in the byte order of the machine. Object for text and for all that
        is neither number, boolean, date nor category.
    shape : tuple of int
        The shape of one row: ``()`` if a row is one value.
    categories : tuple of str, optional
        The texts that the codes 0, 1, ... stand for, if the values are codes (int32). A code of -1
        is a missing value.
    unmarked : numpy.dtype, optional
        The dtype of integers or booleans that became floats, with NaN where one is missing.
    stored_type : str, optional
        The type of objects that are no text, such as lists, as their format calls it.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...] = ()
    categories: tuple[str, ...] | None = None
    unmarked: np.dtype | None = dataclasses.field(default=None, repr=False)
    stored_type: str | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def row_bytes(self) -> int:
        """The bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def choose_fields(fields: Mapping[str, Field], names: Sequence[str]) -> tuple[Field, ...]:
    """Return the fields of some names, in the order of the names.

    Raises
    ------
    ValueError
        If there is no such field, or a name comes twice.
    """
    for position, name in enumerate(names):
        if name not in fields:
            close = get_close_matches(str(name), fields, n=3)
            hint = f"did you mean {listed(close)}? " if close else ""
            raise ValueError(
                f"Each name must be a field of the source, got {name!r}.\n"
                f"Hint: {hint}The fields are {listed(fields)}."
            )
        if name in names[:position]:
            raise ValueError(
                f"Each field must be named once, got {name!r} twice.\nHint: leave one of them out."
            )
    return tuple(fields[name] for name in names)


def check_no_text(fields: Sequence[Field]) -> None:
    """Check that the values of fields are numbers, booleans, dates or codes of categories.

    Raises
    ------
    TypeError
        If a field holds text or other objects.
    """
    for field in fields:
        if field.dtype == object:
            raise TypeError(
                "The fields of a batch or a container must be numbers, booleans, dates or "
                f"categories, got `{field.name}` of {field.stored_type or 'text or other objects'}."
                "\n"
                "Hint: choose other fields, or convert the column before it is read: text to a "
                "categorical (a pandas Categorical, a Polars Enum, an Arrow dictionary), lists of "
                "one length to a fixed-size list (a Polars Array, an Arrow fixed-size list)."
            )


def describe_fields(fields: Mapping[str, Field]) -> str:
    """Return the names and kinds of the first fields, for the repr of a source.

    Examples
    --------
    >>> describe_fields({"x": Field("x", np.dtype(float), (3,))})
    'x: float64[3]'
    """

    def describe(field: Field) -> str:
        kind = field.stored_type or ("text" if field.dtype == object else field.dtype.name)
        if field.categories is not None:
            kind = f"{len(field.categories)} categories"
        return f"{field.name}: {kind}{list(field.shape) or ''}"

    return listed(fields.values(), SHOWN_FIELDS, describe)


def stored_kind(field: Field) -> str:
    """Return what a field holds, for messages: "categories", "text", a dtype or a stored type."""
    if field.categories is not None:
        return "categories"
    return field.stored_type or ("text" if field.dtype == object else str(field.dtype))
