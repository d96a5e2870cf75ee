"""Text as codes of a table of categories, looked up by Arrow's hash tables.

Nothing is done row by row in Python: only what names a wrong value in an error is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from bayou.sources.base.field import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# The code of a missing value.
MISSING_CODE = -1

type Texts = pa.Array | pa.ChunkedArray
"""Arrow strings; null where missing."""


def encode(name: str, texts: Texts) -> tuple[Field, NDArray[np.int32]]:
    """Return text as codes of its distinct texts.

    Parameters
    ----------
    name : str
        The name of the field.
    texts : pyarrow.Array or pyarrow.ChunkedArray of strings, length rows
        The text.

    Returns
    -------
    Field
        The field, its categories in alphabetical order.
    ndarray of int32, shape (rows,)
        The codes, -1 where missing.
    """
    table = tuple(sorted(pc.unique(texts).drop_null().to_pylist()))
    codes = look_up(texts, table, MISSING_CODE)
    return Field(name, np.dtype(np.int32), (), table), codes


def look_up(texts: Texts, table: Sequence[str], other: int) -> NDArray[np.int32]:
    """Return the positions of texts in a table, `other` for those that it lacks or that are null.

    Returns
    -------
    ndarray of int32, shape (rows,)
    """
    positions = pc.index_in(texts, pa.array(table, texts.type)).fill_null(other)
    codes: NDArray[np.int32] = positions.to_numpy(zero_copy_only=False)
    return codes.astype(np.int32, copy=False)


def as_texts(name: str, values: NDArray[np.generic]) -> pa.Array:
    """Return objects as an Arrow array of strings.

    Parameters
    ----------
    name : str
        The field, for the error.
    values : ndarray of object, shape (rows,)
        The values. None and NaN become null.

    Raises
    ------
    TypeError
        If a value is neither text nor missing.
    """
    texts = from_objects(name, values)
    if types.is_null(texts.type):
        return texts.cast(pa.string())
    if not is_text(texts.type):
        raise kinds_error(name, str(texts.type))
    return texts


def from_objects(
    name: str, values: NDArray[np.generic], null: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return Python objects of one type as an Arrow array, decimals as doubles.

    Parameters
    ----------
    name : str
        The field, for the error.
    values : array_like of object, shape (rows,)
        The objects. None and NaN become null.
    null : ndarray of bool, shape (rows,), optional
        Which others are null.

    Raises
    ------
    TypeError
        If they are of several types, or of one that Arrow does not know.
    """
    try:
        column = pa.array(values, mask=null, from_pandas=True)
        # Arrow takes the digits of the type from the values at hand, which say nothing of others.
        return nearest_doubles(column) if types.is_decimal(column.type) else column
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        missing = pd.isna(values) if null is None else pd.isna(values) | null
        known = np.asarray(values, dtype=object)[~missing]
        # Reversed, so that the first value of each type stays.
        examples = {type(value).__name__: value for value in known[::-1]}
        got = ", ".join(f"{value!r} ({kind})" for kind, value in sorted(examples.items()))
        raise kinds_error(name, got) from None


def nearest_doubles(decimals: pa.Array) -> pa.Array:
    """Return the doubles that are nearest to decimals.

    By way of text: Arrow's own cast was seen to be off by a unit in the last place.
    """
    return decimals.cast(pa.string()).cast(pa.float64())


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is text, of whatever storage."""
    return any(
        test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view)
    )


def distinct_texts(field: Field, values: NDArray[np.generic]) -> list[str]:
    """Return the texts or categories that occur among the values of a field.

    Parameters
    ----------
    field : Field
        A field of text or of categories.
    values : ndarray of object or int32, shape (rows,)
        Its values.

    Returns
    -------
    list of str
        Texts in alphabetical order, categories in that of their codes.
    """
    if field.categories is not None:
        codes = np.unique(values)
        return [field.categories[code] for code in codes if code >= 0]
    return sorted(pc.unique(as_texts(field.name, values)).drop_null().to_pylist())


def as_text_hint(name: str) -> str:
    """Return the hint how to make text of a column of numbers, whatever the frame."""
    return f"make text of the column first: [str(value) for value in frame[{name!r}]]"


def kinds_error(name: str, got: str) -> TypeError:
    """Return the error for a column of values that no container holds, or of several kinds."""
    return TypeError(
        f"`{name}` must hold numbers, booleans, dates or text, and one kind of them, got {got}.\n"
        "Hint: convert the column first, so that all of its values are numbers, or all are text."
    )
