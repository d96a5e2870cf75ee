"""What is done with nulls: refused where they are met, or their rows left out and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

type Nulls = Literal["refuse", "drop"]

# Values of a field, and where they are null; None where none is.
type Masked = tuple[NDArray[Any], NDArray[np.bool_] | None]


def check_nulls(nulls: str) -> None:
    """Check the argument `nulls`.

    Raises
    ------
    ValueError
        If it is none of the known ways.
    """
    if nulls not in (known := get_args(Nulls.__value__)):
        raise ValueError(
            f"`nulls` must be one of {listed(known)}, got {nulls!r}.\n"
            'Hint: "refuse" makes a null an error, "drop" leaves out its row.'
        )


def null_error(field: str, row: int, where: str = "") -> ValueError:
    """Return the error for a null in a field.

    Parameters
    ----------
    field : str
        Its name.
    row : int
        The number of the row in the source.
    where : str, optional
        The file that holds it.
    """
    of_file = f" of {where}" if where else ""
    return ValueError(
        f"`{field}` must have no nulls, got one in row {row}{of_file}.\n"
        'Hint: fill it in where the data are kept, or leave out such rows with nulls="drop".'
    )


def without_nulls(name: str, masked: Masked, start: int, where: str = "") -> NDArray[Any]:
    """Return the values of a field, if none of them is null.

    Parameters
    ----------
    name : str
        The field.
    masked : tuple of ndarray and ndarray of bool or None
        Its values, and where they are null.
    start : int
        The number of their first row in the source.
    where : str, optional
        The file that holds them.

    Raises
    ------
    ValueError
        If there is a null, with its row.
    """
    values, null = masked
    if null is not None and null.any():
        raise null_error(name, start + int(null.argmax()), where)
    return values


def complete_rows(nulls: Sequence[NDArray[np.bool_] | None], num_rows: int) -> NDArray[np.bool_]:
    """Return which rows have no null in any field: bool, shape (num_rows,)."""
    complete = np.ones(num_rows, dtype=bool)
    for null in nulls:
        if null is not None:
            complete &= ~null
    return complete
