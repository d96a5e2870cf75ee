"""Arrow columns as fields and NumPy arrays, without a copy where both have the same layout.

Numbers, dates, timestamps and durations share their layout: the array is a view of Arrow's buffer.
Booleans (bits in Arrow), dates of 32 bits and codes are copied, decimals and times of day are
converted (see ``arrow_types``); text and all else become objects.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import types

from bayou.sources.base.arrow_types import plain_type, plain_values
from bayou.sources.base.field import Field
from bayou.sources.base.nulls import without_nulls
from bayou.sources.base.text_codes import is_text
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Masked


def arrow_field(name: str, kind: pa.DataType, categories: tuple[str, ...] | None = None) -> Field:
    """Return the field that holds the values of an Arrow type.

    Parameters
    ----------
    name : str
        The name of the field.
    kind : pyarrow.DataType
        The type. Numbers, booleans, dates, timestamps and durations keep their dtype, decimals are
        float64 (int64 without digits after the point), times of day are durations since midnight.
        Fixed-size lists of these give the shape of a row, and all else is object.
    categories : tuple of str, optional
        The categories of a dictionary type. The values of the field are codes of them.
    """
    if categories is not None:
        return Field(name, np.dtype(np.int32), (), categories)
    shape: tuple[int, ...] = ()
    inner = plain_type(kind)
    while types.is_fixed_size_list(inner):
        shape += (inner.list_size,)
        inner = inner.value_type
    dtype = _dtype(inner)
    if dtype.kind != "O":
        return Field(name, dtype, shape)
    return Field(name, dtype, stored_type=None if not shape and _is_words(inner) else str(kind))


def _is_words(kind: pa.DataType) -> bool:
    return is_text(kind.value_type if types.is_dictionary(kind) else kind)


def arrow_categories(column: pa.ChunkedArray) -> tuple[str, ...]:
    """Return the categories of a chunked array of a dictionary type, in the order of the codes."""
    chunks = column.unify_dictionaries().chunks
    return tuple(str(value) for value in chunks[0].dictionary.to_pylist()) if chunks else ()


def arrow_values(column: pa.Array | pa.ChunkedArray, field: Field) -> Masked:
    """Return the values of an Arrow column, and which rows are null.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        The column, of the type that the field was made from.
    field : Field
        The field, by :func:`arrow_field`.

    Returns
    -------
    values : ndarray of ``field.dtype``, shape (rows, *field.shape)
        A view of the column where the layout allows it. Arbitrary where null.
    null : ndarray of bool, shape (rows,), or None
        None if no row is null.

    Raises
    ------
    ValueError
        If a category is not one of the field.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if field.categories is not None:
        codes = _codes(column, field)
        return codes, codes < 0
    column = plain_values(field.name, column)
    null = _null(column)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return column.to_numpy(zero_copy_only=False), null
    if field.dtype.kind == "O":
        # The None at the end keeps NumPy from making a matrix of lists that are of one length.
        return np.array([*column.to_pylist(), None], dtype=object)[:-1], null
    num_rows = len(column)
    for length in field.shape:
        # `values` is the child of the array that this one is a slice of.
        column = column.values.slice(column.offset * length, len(column) * length)
        inner = _null(column)
        if inner is not None:
            inner = inner.reshape(num_rows, -1).any(axis=1)
            null = inner if null is None else null | inner
    return _plain(column, field.dtype).reshape(num_rows, *field.shape), null


def _null(column: pa.Array) -> NDArray[np.bool_] | None:
    return column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None


def _plain(column: pa.Array, dtype: np.dtype) -> NDArray[Any]:
    """Return numbers, booleans or dates as they are stored, also where they are null."""
    if types.is_boolean(column.type):
        return column.fill_null(False).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    if not len(column):
        return np.empty(0, dtype=dtype)
    # The buffer itself: Arrow's own conversion makes floats of integers with nulls.
    width = column.type.bit_width // 8
    stored = np.dtype(f"i{width}") if dtype.kind in "mM" else dtype
    values = np.frombuffer(column.buffers()[1], stored, len(column), column.offset * width)
    # Arrow's dates in days have 32 bits, those of NumPy 64.
    return values.astype(np.int64, copy=False).view(dtype) if dtype.kind in "mM" else values


def _codes(column: pa.DictionaryArray, field: Field) -> NDArray[np.int32]:
    """Return the codes of the field's categories, -1 where null."""
    words, categories = dictionary_words(column), _word_array(field.categories or ())
    if words.equals(categories):
        codes: NDArray[np.int32] = (
            column.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        )
        return codes
    # Another table: its codes are looked up, -2 standing for a category that the field has not.
    table = pc.index_in(words, value_set=categories).fill_null(-2).to_numpy(zero_copy_only=False)
    table = np.where(words.is_null().to_numpy(zero_copy_only=False), -1, table)
    indices = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    # The index -1, of a null, takes the last entry, which is -1 too.
    codes = np.append(table, -1).astype(np.int32)[indices]
    if (unknown := codes == -2).any():
        word = column.dictionary[int(indices[unknown.argmax()])].as_py()
        raise ValueError(
            f"`{field.name}` must hold only the categories {listed(field.categories or ())}, "
            f"got {word!r}.\nHint: give all files and batches the same categories."
        )
    return codes


def dictionary_words(column: pa.DictionaryArray) -> pa.StringArray:
    """Return the dictionary of an array as text, whatever the type of its values."""
    words = column.dictionary
    if types.is_string(words.type) or types.is_large_string(words.type):
        return words.cast(pa.string())
    return pa.array(
        [None if word is None else str(word) for word in words.to_pylist()], pa.string()
    )


@lru_cache(maxsize=16)
def _word_array(categories: tuple[str, ...]) -> pa.StringArray:
    """Return categories as an array. The pieces of a block share it, since making it takes time."""
    return pa.array(categories, pa.string())


def arrow_tables(
    batches: Iterable[pa.Table | pa.RecordBatch], fields: Sequence[Field], start: int
) -> Iterator[Table]:
    """Yield the rows of Arrow tables or record batches, refusing nulls.

    Parameters
    ----------
    batches : iterable of pyarrow.Table or pyarrow.RecordBatch
        Consecutive rows.
    fields : sequence of Field
        The columns to read.
    start : int
        The number of the first row in the source.

    Yields
    ------
    dict of str to ndarray, shapes (rows, *field.shape)

    Raises
    ------
    ValueError
        If there is a null, with the number of its row.
    """
    for batch in batches:
        yield {
            field.name: without_nulls(field.name, arrow_values(batch[field.name], field), start)
            for field in fields
        }
        start += batch.num_rows


def _dtype(kind: pa.DataType) -> np.dtype:
    """Return the NumPy dtype of an Arrow type, object if it has none."""
    if types.is_timestamp(kind) or types.is_duration(kind):
        return np.dtype(f"{'M' if types.is_timestamp(kind) else 'm'}8[{kind.unit}]")
    if types.is_date(kind):
        return np.dtype("M8[D]" if types.is_date32(kind) else "M8[ms]")
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        dtype: np.dtype = np.dtype(kind.to_pandas_dtype())
        return dtype
    return np.dtype(object)
