"""Fields side by side as the columns of a matrix: which may be, and whether values are kept.

NumPy casts int64 beside float64 to float64, whose significand has 53 bits. Whether a value loses
digits is seen only in the values, so it is checked for each table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field


def check_matrix(fields: Sequence[Field]) -> None:
    """Check that fields can be the columns of one matrix.

    Raises
    ------
    TypeError
        If one of them is text, of categories, of several values a row, or of dates beside numbers.
    """
    for field in fields:
        _check_column(field, fields[0])


def _check_column(field: Field, first: Field) -> None:
    if field.shape != ():
        got, hint = f"shape {field.shape} a row", "take such a field by itself"
    elif field.dtype == object:
        got, hint = "text", "take such a field by itself, or leave it out"
    elif field.categories is not None:
        got, hint = "categories", "their codes are no quantities: take such a field by itself"
    elif field.dtype != first.dtype and not {field.dtype.kind, first.dtype.kind} <= set("biufc"):
        got = f"{field.dtype} beside `{first.name}` of {first.dtype}"
        hint = "take the dates by themselves, or make numbers of them"
    else:
        return
    raise TypeError(
        f"The fields of a matrix must be numbers, one for each row, got `{field.name}` of {got}.\n"
        f"Hint: {hint}."
    )


def check_exact(field: Field, values: NDArray[np.number], common: np.dtype) -> None:
    """Check that the common dtype of a matrix holds each value of one of its fields.

    Parameters
    ----------
    field : Field
        The column.
    values : ndarray of ``field.dtype``, shape (rows,)
        Its values.
    common : numpy.dtype
        The dtype of the matrix.

    Raises
    ------
    ValueError
        If a value is another one as ``common``.
    """
    if not _may_lose(field.dtype, common):
        return
    limit = 2 ** (np.finfo(common).nmant + 1)
    beyond = values[(values > limit) | (values < -limit)]
    # Compared as Python numbers, which are exact; few values are beyond the limit.
    lost = [value for value in beyond.tolist() if int(common.type(value).real) != value]
    if lost:
        raise ValueError(
            f"The values of `{field.name}` must keep their value as {common}, the common dtype of "
            f"the matrix, got {lost[0]} ({field.dtype}).\n"
            "Hint: take the field by itself, or convert the column before it is read."
        )


def _may_lose(dtype: np.dtype, common: np.dtype) -> bool:
    """Whether the significand of the common dtype has fewer bits than some value of a dtype."""
    if dtype.kind not in "iu" or common.kind not in "fc":
        return False
    return np.iinfo(dtype).bits - (dtype.kind == "i") > np.finfo(common).nmant + 1
