"""Text as codes of a table, by Arrow's hash tables: nothing is done row by row in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from bayou.sources.base.field import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# What a code of a missing value is.
MISSING_CODE = -1


def encode(name: str, texts: Any) -> tuple[Field, NDArray[np.int32]]:
    """Return text as codes of the texts that there are, in their order; -1 where missing.

    Parameters
    ----------
    name : str
        The field.
    texts : pyarrow.Array or pyarrow.ChunkedArray
        Strings.
    """
    table = tuple(sorted(pc.unique(texts).drop_null().to_pylist()))
    codes = look_up(texts, table, MISSING_CODE)
    return Field(name, np.dtype(np.int32), (), table), codes


def look_up(texts: Any, table: Sequence[str], other: int) -> NDArray[np.int32]:
    """Return the places of texts in a table; `other` for those that are missing, or not in it."""
    found = pc.index_in(texts, pa.array(table, texts.type)).fill_null(other)
    codes: NDArray[np.int32] = found.to_numpy(zero_copy_only=False)
    return codes.astype(np.int32, copy=False)


def as_texts(name: str, values: NDArray[Any]) -> Any:
    """Return objects as an Arrow array of strings, refusing all that is no text.

    Raises
    ------
    TypeError
        If there is anything but text.
    """
    texts = from_objects(name, values)
    if types.is_null(texts.type):
        return texts.cast(pa.string())
    if not is_text(texts.type):
        raise kinds_error(name, str(texts.type))
    return texts


def from_objects(name: str, values: Any, null: NDArray[np.bool_] | None = None) -> Any:
    """Return Python objects as an Arrow array of their one kind; None and NaN are nulls.

    Raises
    ------
    TypeError
        If they are of several kinds.
    """
    try:
        return pa.array(values, mask=null, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        missing = pd.isna(values) if null is None else pd.isna(values) | null
        known = np.asarray(values, dtype=object)[~missing]
        examples = {type(value).__name__: value for value in known[::-1]}
        got = ", ".join(f"{value!r} ({kind})" for kind, value in sorted(examples.items()))
        raise kinds_error(name, got) from None


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text."""
    return any(
        test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view)
    )


def distinct_texts(field: Field, values: NDArray[Any]) -> list[str]:
    """Return the texts or categories that there are among the values of a field, in order."""
    if field.categories is not None:
        codes = np.unique(values)
        return [field.categories[code] for code in codes if code >= 0]
    return sorted(pc.unique(as_texts(field.name, values)).drop_null().to_pylist())


def as_text_hint(name: str) -> str:
    """Say how to make text of a column of numbers, whatever the frame."""
    return f"make text of the column first: [str(value) for value in frame[{name!r}]]"


def kinds_error(name: str, got: str) -> TypeError:
    """Return the error for a column of what no container holds, or of several kinds."""
    return TypeError(
        f"`{name}` must hold numbers, booleans, dates or text, and one kind of them, got {got}.\n"
        "Hint: convert the column first, so that all of its values are numbers, or all are text."
    )
