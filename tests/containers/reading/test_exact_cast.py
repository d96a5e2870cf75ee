from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayou.containers.reading.exact_cast import exact_cast, position_text

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
DTYPES = ("bool", *INTEGERS, *FLOATS)


@st.composite
def edges(draw: st.DrawFn, name: str) -> Any:
    """A value of the dtype, near a limit of some dtype more often than by chance."""
    near = draw(st.sampled_from([0, 2**7, 2**8, 2**11, 2**15, 2**16, 2**24, 2**31, 2**53, 2**63]))
    value = draw(st.sampled_from([-1, 1])) * near + draw(st.integers(-2, 2))
    dtype = np.dtype(name)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return dtype.type(min(max(value, limits.min), limits.max))
    with np.errstate(over="ignore"):
        return np.array(value).astype(dtype)[()]


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    name = draw(st.sampled_from(DTYPES))
    elements = st.one_of(edges(name), hnp.from_dtype(np.dtype(name)))
    return draw(hnp.arrays(name, hnp.array_shapes(min_dims=0, max_dims=3), elements=elements))


def survives(value: Any, target: np.dtype) -> bool:
    """What the cast of one value should allow, in Python's exact integers."""
    if target.kind == "f":
        with np.errstate(over="ignore"):
            cast = float(np.array(value).astype(target))
        if isinstance(value, float):
            return math.isfinite(cast) or not math.isfinite(value)
        return math.isfinite(cast) and int(cast) == int(value)
    if not math.isfinite(value) or value != int(value):
        return False
    if target.kind == "b":
        return int(value) in (0, 1)
    limits = np.iinfo(target)
    return bool(limits.min <= int(value) <= limits.max)


@given(arrays(), st.sampled_from(DTYPES))
def test_casts_exactly_or_refuses(array: np.ndarray, name: str) -> None:
    target = np.dtype(name)
    kept = [survives(value, target) for value in array.ravel().tolist()]
    if array.dtype == target or all(kept):
        cast = exact_cast(array, name, "`value`")
        assert cast.dtype == target
        assert cast.shape == array.shape
        if target.kind == "f" and array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(cast, array.astype(target))
        else:
            assert [int(value) for value in cast.ravel().tolist()] == [
                int(value) for value in array.ravel().tolist()
            ]
    else:
        index = np.unravel_index(kept.index(False), array.shape)
        with pytest.raises(ValueError, match="must hold values that") as error:
            exact_cast(array, name, "`value`")
        text = str(error.value)
        assert f"{target} can represent, got {array[index]} ({array.dtype})" in text
        assert position_text(tuple(int(i) for i in index)) in text


def test_same_dtype_is_not_copied() -> None:
    array = np.arange(3)
    assert exact_cast(array, "int64", "`value`") is array


def test_foreign_byte_order_is_turned() -> None:
    cast = exact_cast(np.array([1, 2], dtype=">i4"), "int32", "`value`")
    assert cast.dtype == np.dtype("int32")
    assert cast.tolist() == [1, 2]


def test_refusal_names_value_place_and_dtypes() -> None:
    with pytest.raises(
        ValueError,
        match=r"^`dtype` must hold values that int8 can represent, got 300 \(int64\) in row 2\.\n"
        r"Hint: change the values, or build the container from int64 values\.$",
    ):
        exact_cast(np.array([1, 2, 300]), "int8", "`dtype`")


def test_float_overflow_is_refused_and_infinity_kept() -> None:
    with pytest.raises(ValueError, match=r"float32 can represent, got 1e\+300"):
        exact_cast(np.array([1e300]), "float32", "`value`")
    assert exact_cast(np.array([np.inf, 0.1]), "float32", "`value`").tolist() == [
        np.inf,
        float(np.float32(0.1)),
    ]


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_other_kinds_are_type_errors(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match="must be of a boolean, integer or float dtype, got"):
        exact_cast(array, "float64", "`value`")
    with pytest.raises(TypeError, match=r"got (<U1|complex128|object)\.\nHint: convert the values"):
        exact_cast(np.array([1.0]), array.dtype, "`value`")
