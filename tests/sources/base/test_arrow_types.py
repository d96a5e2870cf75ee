"""Arrow types as their values are read, and the types that hold two others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sources.base.arrow_types import exact_dtype, plain_type, plain_values, wider_type

DECIMALS = [
    pa.decimal32(7, 2),
    pa.decimal64(18, 4),
    pa.decimal128(18, 9),
    pa.decimal128(38, 18),
    pa.decimal128(38, 37),
    pa.decimal256(60, 30),
]


@pytest.mark.parametrize("kind", DECIMALS, ids=str)
@given(data=st.data())
def test_decimals_are_the_nearest_doubles(kind: Any, data: st.DataObject) -> None:
    limit = 10**kind.precision - 1
    digits = data.draw(st.lists(st.none() | st.integers(-limit, limit), max_size=5))
    texts = [None if number is None else f"{number}e-{kind.scale}" for number in digits]
    column = pa.array([None if text is None else Decimal(text) for text in texts], kind)
    expected = [None if text is None else float(text) for text in texts]
    assert plain_values("x", column).to_pylist() == expected
    assert plain_values("x", column[1:]).to_pylist() == expected[1:]


@pytest.mark.parametrize(
    "kind",
    [pa.decimal32(9, 0), pa.decimal64(18, 0), pa.decimal128(38, 0), pa.decimal256(76, 0)],
    ids=str,
)
def test_decimals_without_digits_after_the_point_are_integers(kind: Any) -> None:
    numbers = [0, 500, None, -(10 ** min(kind.precision - 1, 17))]
    column = pa.array([None if n is None else Decimal(n) for n in numbers], kind)
    assert plain_values("x", column).equals(pa.array(numbers, pa.int64()))


def test_decimals_of_a_negative_scale_are_integers() -> None:
    column = pa.array([Decimal(500), None], pa.decimal128(5, -2))
    assert plain_values("x", column).to_pylist() == [500, None]


def test_a_decimal_that_is_no_int64() -> None:
    column = pa.array([1, None, 2**63], pa.decimal128(38, 0))
    with pytest.raises(
        ValueError,
        match=r"`x` must hold whole numbers that int64 holds, got 9223372036854775808 \(",
    ):
        plain_values("x", column)


def test_lists_of_decimals() -> None:
    kind = pa.list_(pa.decimal128(5, 1), 2)
    column = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)).cast(kind)
    found = plain_values("x", column[1:])
    assert found.type == plain_type(kind) == pa.list_(pa.float64(), 2)
    assert found.to_pylist() == [None, [3.0, 4.0]]


@pytest.mark.parametrize(
    "kind", [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]
)
def test_times_of_day_are_durations_since_midnight(kind: Any) -> None:
    column = pa.array([0, 3, None], pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    assert plain_values("x", column).equals(pa.array([0, 3, None], pa.duration(kind.unit)))


def test_how_values_are_stored_does_not_matter() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([1.5, 2.5]))
    assert plain_values("x", runs).to_pylist() == [1.5, 1.5, 2.5]
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))
    assert plain_values("x", flags).to_pylist() == [True, False]
    assert plain_values("x", pa.nulls(2)).equals(pa.nulls(2, pa.float64()))


INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
NUMBERS = [*INTEGERS, *map(np.dtype, ("f2", "f4", "f8"))]


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
def test_the_common_dtype_keeps_every_value(one: Any, other: Any, data: st.DataObject) -> None:
    common = exact_dtype(one, other)
    assert common == exact_dtype(other, one)
    if common is None:
        # Only 64 bits of an integer are too many.
        assert 8 in {dtype.itemsize for dtype in (one, other) if dtype.kind in "iu"}
    elif one.kind in "iu":
        limits = np.iinfo(one)
        value = data.draw(st.integers(limits.min, limits.max))
        assert int(np.array(value, one).astype(common)) == value


@pytest.mark.parametrize(
    ("one", "other", "wider"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint32(), pa.int64(), pa.int64()),
        (pa.uint64(), pa.int64(), None),
        (pa.int64(), pa.float64(), None),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.bool_(), pa.int8(), None),
        (pa.null(), pa.decimal128(9, 2), pa.float64()),
        (pa.decimal128(9, 2), pa.decimal128(9, 0), pa.float64()),
        (pa.decimal128(9, 0), pa.int8(), pa.int64()),
        (pa.decimal128(9, 2), pa.int64(), None),
        (pa.decimal128(9, 2), pa.float32(), pa.float64()),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.date32(), pa.date64(), pa.timestamp("ms")),
        (pa.timestamp("s", "UTC"), pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("ns", "UTC")),
        (pa.timestamp("s", "UTC"), pa.timestamp("s"), None),
        (pa.time32("s"), pa.time64("us"), pa.duration("us")),
        (pa.time32("s"), pa.duration("s"), None),
        (pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int16(), 2), pa.list_(pa.int16(), 2)),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int8(), 3), None),
    ],
)
def test_types_that_hold_two(one: Any, other: Any, wider: Any) -> None:
    assert wider_type(one, other) == wider
    assert wider_type(other, one) == wider
