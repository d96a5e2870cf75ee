"""Arrow columns as fields and NumPy arrays: without a copy where the layout is the same."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import types

from bayou.sources.base.field import Field
from bayou.sources.base.nulls import without_nulls
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Masked


def arrow_field(name: str, kind: Any, categories: tuple[str, ...] | None = None) -> Field:
    """Return the field that holds the values of an Arrow type.

    Parameters
    ----------
    name : str
        What it is called.
    kind : pyarrow.DataType
        Numbers, booleans, dates, timestamps and durations keep their dtype, fixed-size lists of
        them become the shape of a row; all else is object.
    categories : tuple of str, optional
        What a dictionary holds, whose values become codes then.
    """
    if categories is not None:
        return Field(name, np.dtype(np.int32), (), categories)
    shape: tuple[int, ...] = ()
    inner = kind
    while types.is_fixed_size_list(inner):
        shape += (inner.list_size,)
        inner = inner.value_type
    dtype = _dtype(inner)
    return Field(name, dtype, () if dtype.kind == "O" else shape)


def arrow_categories(column: Any) -> tuple[str, ...]:
    """Return what the codes of a chunked array of dictionaries stand for, in their order."""
    chunks = column.unify_dictionaries().chunks
    return tuple(str(value) for value in chunks[0].dictionary.to_pylist()) if chunks else ()


def arrow_values(column: Any, field: Field) -> Masked:
    """Return the values of an Arrow column, and where they are null.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        Of the type that the field was made from.
    field : Field
        What the values are to be.

    Raises
    ------
    ValueError
        If a category is unknown to the field.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if field.categories is not None:
        codes = _codes(column, field)
        return codes, codes < 0
    null = _null(column)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return column.to_numpy(zero_copy_only=False), null
    if field.dtype.kind == "O":
        return np.array([*column.to_pylist(), None], dtype=object)[:-1], null
    num_rows = len(column)
    for length in field.shape:
        # The values know nothing of the slice that the list is.
        column = column.values.slice(column.offset * length, len(column) * length)
        inner = _null(column)
        if inner is not None:
            inner = inner.reshape(num_rows, -1).any(axis=1)
            null = inner if null is None else null | inner
    return _plain(column, field.dtype).reshape(num_rows, *field.shape), null


def _null(column: Any) -> NDArray[np.bool_] | None:
    return column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None


def _plain(column: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values as they are stored; any value where they are null."""
    if types.is_boolean(column.type):
        return column.fill_null(False).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    if not len(column):
        return np.empty(0, dtype=dtype)
    width = column.type.bit_width // 8
    stored = np.dtype(f"i{width}") if dtype.kind in "mM" else dtype
    values = np.frombuffer(column.buffers()[1], stored, len(column), column.offset * width)
    # Days are 32 bits wide in Arrow, and 64 in NumPy.
    return values.astype(np.int64, copy=False).view(dtype) if dtype.kind in "mM" else values


def _codes(column: Any, field: Field) -> NDArray[np.int32]:
    """Return the codes of the field's categories; below 0 where null."""
    words, categories = dictionary_words(column), _word_array(field.categories or ())
    if words.equals(categories):
        codes: NDArray[np.int32] = (
            column.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        )
        return codes
    table = pc.index_in(words, value_set=categories).fill_null(-2).to_numpy(zero_copy_only=False)
    table = np.where(words.is_null().to_numpy(zero_copy_only=False), -1, table)
    indices = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    # The last entry is that of a null index, -1.
    codes = np.append(table, -1).astype(np.int32)[indices]
    if (unknown := codes == -2).any():
        word = column.dictionary[int(indices[unknown.argmax()])].as_py()
        raise ValueError(
            f"`{field.name}` must be of the categories {listed(field.categories or ())}, "
            f"got {word!r}.\nHint: give all files and batches the same categories."
        )
    return codes


def dictionary_words(column: Any) -> Any:
    """Return what an array of dictionaries holds as an array of text."""
    words = column.dictionary
    if types.is_string(words.type) or types.is_large_string(words.type):
        return words.cast(pa.string())
    return pa.array(
        [None if word is None else str(word) for word in words.to_pylist()], pa.string()
    )


@lru_cache(maxsize=16)
def _word_array(categories: tuple[str, ...]) -> Any:
    """Return categories as an array, which takes time that pieces of a block are to share."""
    return pa.array(categories, pa.string())


def arrow_tables(batches: Iterable[Any], fields: Sequence[Field], start: int) -> Iterator[Table]:
    """Yield the fields of Arrow tables or record batches, none of which may hold a null.

    Parameters
    ----------
    batches : iterable of pyarrow.Table or pyarrow.RecordBatch
        Consecutive rows.
    fields : sequence of Field
        Which of their columns are wanted, and as what.
    start : int
        The number of their first row in the source.

    Raises
    ------
    ValueError
        If there is a null, with its row.
    """
    for batch in batches:
        yield {
            field.name: without_nulls(field.name, arrow_values(batch[field.name], field), start)
            for field in fields
        }
        start += batch.num_rows


def _dtype(kind: Any) -> np.dtype[Any]:
    if types.is_timestamp(kind) or types.is_duration(kind):
        return np.dtype(f"{'M' if types.is_timestamp(kind) else 'm'}8[{kind.unit}]")
    if types.is_date(kind):
        return np.dtype("M8[D]" if types.is_date32(kind) else "M8[ms]")
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    return np.dtype(object)
