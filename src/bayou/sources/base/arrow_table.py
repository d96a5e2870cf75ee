"""Fields and their values as an Arrow table, for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table


def arrow_table(fields: Mapping[str, Field], values: Table) -> pa.Table:
    """Return values as an Arrow table that a source reads the same fields and values from.

    Codes of categories become dictionaries, fields with several values a row fixed-size lists.

    Parameters
    ----------
    fields : mapping of str to Field
        The fields, none of them of objects or complex numbers.
    values : dict of str to ndarray, shapes (rows, *field.shape)
        Their values.

    Raises
    ------
    TypeError
        If a field has a type that Arrow lacks, such as complex numbers.
    """
    return pa.table({name: _column(field, values[name]) for name, field in fields.items()})


def _column(field: Field, values: NDArray[Any]) -> pa.Array:
    if field.categories is not None:
        # A code of -1 is a missing value.
        codes = pa.array(values, mask=values < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(field.categories, pa.string()))
    try:
        column = pa.array(np.ascontiguousarray(values).ravel())
    except pa.ArrowNotImplementedError:
        raise TypeError(
            f"The fields of a file must have types that Arrow has, got `{field.name}` of "
            f"{field.dtype}.\nHint: leave it out, or split it into fields of real numbers."
        ) from None
    for length in reversed(field.shape):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    return column
