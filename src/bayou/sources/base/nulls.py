"""The argument `nulls`: rows with a null are refused where they are read, or dropped and counted.

A null is a value that is missing by the format (an Arrow null, a masked value, None). A NaN in an
array of floats is a value, and is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

type Nulls = Literal["refuse", "drop"]

type Masked = tuple[NDArray[Any], NDArray[np.bool_] | None]
"""Values of a field, shape (rows, ...), and which rows are null, shape (rows,), None if none is.

The values of null rows are arbitrary."""


def check_nulls(nulls: str) -> None:
    """Check the argument `nulls`.

    Raises
    ------
    ValueError
        If it is not one of the texts of :data:`Nulls`.
    """
    if nulls not in (known := get_args(Nulls.__value__)):
        raise ValueError(
            f"`nulls` must be one of {', '.join(map(repr, known))}, got {nulls!r}.\n"
            'Hint: "refuse" makes a null an error, "drop" leaves out its row.'
        )


def without_nulls(name: str, masked: Masked, start: int, where: str = "") -> NDArray[Any]:
    """Return the values of a field, if none of them is null.

    Parameters
    ----------
    name : str
        The field.
    masked : tuple of ndarray and ndarray of bool or None
        The values, and which are null.
    start : int
        The number of the first row in the source.
    where : str, optional
        The file or item that holds the values, for the error.

    Raises
    ------
    ValueError
        If there is a null, with the number of its row.
    """
    values, null = masked
    if null is None or not null.any():
        return values
    row = start + int(null.argmax())
    of_file = f" of {where}" if where else ""
    raise ValueError(
        f"`{name}` must have no nulls, got one in row {row}{of_file}.\n"
        'Hint: fill it in where the data are kept, or leave out such rows with nulls="drop": '
        "docs/how_to/missing_values.md."
    )


def complete_rows(nulls: Sequence[NDArray[np.bool_] | None], num_rows: int) -> NDArray[np.bool_]:
    """Return which rows have no null in any field.

    Parameters
    ----------
    nulls : sequence of (ndarray of bool, shape (num_rows,), or None)
        The rows that are null, by field. None if none is.
    num_rows : int
        The number of rows.

    Returns
    -------
    ndarray of bool, shape (num_rows,)
    """
    complete = np.ones(num_rows, dtype=bool)
    # In place: an array of nulls is as long as a block.
    for null in nulls:
        if null is not None:
            complete &= ~null
    return complete
