"""Arrow types as their values are read: decimals, times of day, and the type that holds two others.

A decimal is the nearest double, or an int64 if it has no digits after the point. A time of day is a
duration since midnight. Nothing else changes its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from bayou.sources.base.text_codes import is_text, nearest_doubles

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Doubles hold all whole numbers up to this one, and powers of ten up to this exponent. The quotient
# of two that are exact is the double that is nearest to the decimal.
EXACT_WHOLE = 2**53
EXACT_EXPONENT = 22


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the Arrow type that the values of a type are read as.

    Examples
    --------
    >>> import pyarrow as pa
    >>> plain_type(pa.decimal128(10, 2)), plain_type(pa.decimal128(38, 0))
    (DataType(double), DataType(int64))
    >>> plain_type(pa.time32("s")), plain_type(pa.string())
    (DurationType(duration[s]), DataType(string))
    """
    if isinstance(kind, pa.Bool8Type):
        return pa.bool_()
    if isinstance(kind, pa.JsonType):
        return plain_type(kind.storage_type)
    if types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_decimal(kind):
        return pa.float64() if kind.scale > 0 else pa.int64()
    if types.is_time(kind):
        return pa.duration(kind.unit)
    if types.is_null(kind):
        return pa.float64()
    if types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    return kind


def plain_values(name: str, column: pa.Array) -> pa.Array:
    """Return a column as its plain type, itself if it is of that type already.

    Parameters
    ----------
    name : str
        The column, for the error.
    column : pyarrow.Array
        The column.

    Raises
    ------
    ValueError
        If a decimal without digits after the point is no int64.
    """
    kind = column.type
    plain = plain_type(kind)
    if plain == kind:
        return column
    if isinstance(kind, pa.BaseExtensionType):
        storage = column.storage
        return storage.cast(plain) if types.is_boolean(plain) else plain_values(name, storage)
    if types.is_run_end_encoded(kind):
        return plain_values(name, pc.run_end_decode(column))
    if types.is_decimal(kind):
        return _of_decimals(name, column)
    if types.is_null(kind):
        return pa.nulls(len(column), plain)
    if types.is_fixed_size_list(kind):
        size = kind.list_size
        inner = column.values.slice(column.offset * size, len(column) * size)
        mask = column.is_null() if column.null_count else None
        return pa.FixedSizeListArray.from_arrays(plain_values(name, inner), size, mask=mask)
    # Times of 32 bits are durations of 64.
    whole = pa.int32() if types.is_time32(kind) else pa.int64()
    return column.cast(whole).cast(pa.int64()).cast(plain)


def wider_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the plain type that holds all values of two types exactly, None if there is none.

    Decimals with digits after the point count as doubles, which they become anyway. Categories
    without an order beside text are text.

    Examples
    --------
    >>> import pyarrow as pa
    >>> wider_type(pa.int32(), pa.int64()), wider_type(pa.int32(), pa.float64())
    (DataType(int64), DataType(double))
    >>> wider_type(pa.int64(), pa.float64())
    """
    if types.is_null(one) or types.is_null(other):
        return plain_type(other if types.is_null(one) else one)
    if types.is_decimal(one) and types.is_decimal(other):
        return pa.float64() if max(one.scale, other.scale) > 0 else pa.int64()
    if types.is_time(one) != types.is_time(other):
        return None
    one, other = plain_type(one), plain_type(other)
    if one == other:
        return one
    if types.is_fixed_size_list(one) and types.is_fixed_size_list(other):
        inner = wider_type(one.value_type, other.value_type)
        same = one.list_size == other.list_size
        return pa.list_(inner, one.list_size) if same and inner is not None else None
    if _is_word(one) and _is_word(other):
        return pa.string()
    if _is_moment(one) and _is_moment(other):
        return _wider_moment(one, other)
    if types.is_duration(one) and types.is_duration(other):
        return pa.from_numpy_dtype(np.result_type(*map(_numpy_dtype, (one, other))))
    if _is_number(one) and _is_number(other):
        dtype = exact_dtype(*map(_numpy_dtype, (one, other)))
        return None if dtype is None else pa.from_numpy_dtype(dtype)
    return None


def exact_dtype(one: np.dtype, other: np.dtype) -> np.dtype | None:
    """Return the smallest dtype that holds all integers or floats of two dtypes exactly.

    Returns
    -------
    numpy.dtype or None
        None if there is none, as for int64 beside float64, or for other kinds of dtypes.

    Examples
    --------
    >>> exact_dtype(np.dtype("int32"), np.dtype("float32"))
    dtype('float64')
    >>> exact_dtype(np.dtype("int64"), np.dtype("float64"))
    """
    if one == other:
        return one
    if not {one.kind, other.kind} <= set("iuf"):
        return None
    # NumPy makes float64 of int64 and uint64, and float64 of int64 and a float, which lose digits.
    common = np.result_type(one, other)
    if common.kind == "f":
        for dtype in (one, other):
            bits = np.iinfo(dtype).bits - (dtype.kind == "i") if dtype.kind in "iu" else 0
            if bits > np.finfo(common).nmant + 1:
                return None
    return common


def _of_decimals(name: str, column: pa.Array) -> pa.Array:
    kind = column.type
    if not len(column):
        return pa.array([], plain_type(kind))
    width = kind.bit_width // 8
    null = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    word = np.dtype(f"i{min(width, 8)}")
    words = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width :]
    words = words[: len(column) * width].view(word).reshape(len(column), -1)
    digits = words[:, 0].astype(np.int64)
    # The other words repeat the sign of a number that fits in the first one.
    fits = (words[:, 1:] == (digits >> 63)[:, None]).all(axis=1)
    if null is not None:
        digits, fits = np.where(null, 0, digits), fits | null
    if kind.scale <= 0:
        digits, fits = _scaled(digits, fits, 10**-kind.scale)
        if not fits.all():
            got = column[int(np.argmin(fits))].as_py()
            raise ValueError(
                f"`{name}` must hold whole numbers that int64 holds, got {got} ({kind}).\n"
                "Hint: leave the column out, or write it as a double or as text."
            )
        return pa.array(digits, mask=null)
    exact = fits & (digits <= EXACT_WHOLE) & (digits >= -EXACT_WHOLE)
    if exact.all() and kind.scale <= EXACT_EXPONENT:
        return pa.array(digits / 10.0**kind.scale, mask=null)
    return nearest_doubles(column)


def _scaled(
    digits: NDArray[np.int64], fits: NDArray[np.bool_], factor: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Multiply whole numbers, and return which products are int64."""
    if factor == 1:
        return digits, fits
    limit = (2**63 - 1) // factor
    fits = fits & (digits <= limit) & (digits >= -limit)
    return np.where(fits, digits, 0) * min(factor, 2**63 - 1), fits


def _numpy_dtype(kind: pa.DataType) -> np.dtype:
    return np.dtype(f"m8[{kind.unit}]" if types.is_duration(kind) else kind.to_pandas_dtype())


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind))


def _is_word(kind: pa.DataType) -> bool:
    if types.is_dictionary(kind):
        return is_text(kind.value_type) and not kind.ordered
    return is_text(kind)


def _is_moment(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) or types.is_date(kind))


def _wider_moment(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type of moments that holds both: those with a zone are all in UTC."""
    zones = {bool(getattr(kind, "tz", None)) for kind in (one, other)}
    if len(zones) > 1:
        return None
    units = [_moment_unit(kind) for kind in (one, other)]
    unit, _ = np.datetime_data(np.result_type(*(np.dtype(f"M8[{unit}]") for unit in units)))
    if unit == "D":
        return pa.date32()
    return pa.timestamp(unit, "UTC" if True in zones else None)


def _moment_unit(kind: pa.DataType) -> str:
    if types.is_date(kind):
        return "D" if types.is_date32(kind) else "ms"
    return str(kind.unit)
