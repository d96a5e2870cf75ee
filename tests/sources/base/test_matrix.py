"""Fields side by side: numbers alone, and no value that the common dtype does not hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sources.base.field import Field
from bayou.sources.base.matrix import check_exact, check_matrix

X = Field("x", np.dtype(float))


@pytest.mark.parametrize(
    "dtypes", [["f8"], ["f8", "i4"], ["?", "u1", "c8"], ["M8[D]", "M8[D]"], ["f4", "f8"]]
)
def test_numbers_go_side_by_side(dtypes: list[str]) -> None:
    check_matrix([Field(f"x{n}", np.dtype(dtype)) for n, dtype in enumerate(dtypes)])


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Field("y", np.dtype(float), (2,)), r"`y` of shape \(2,\) a row\.\nHint: take such a fi"),
        (Field("y", np.dtype(object)), r"`y` of text\.\nHint: take such a field by itself, or"),
        (Field("y", np.dtype("i4"), (), ("a",)), r"`y` of categories\.\nHint: their codes are no"),
        (Field("y", np.dtype("M8[s]")), r"`y` of datetime64\[s\] beside `x` of float64\.\nHint: "),
    ],
)
def test_other_fields_are_refused(field: Field, message: str) -> None:
    with pytest.raises(TypeError, match="must be numbers, one for each row, got " + message):
        check_matrix([X, field])


@given(
    dtype=st.sampled_from(["i8", "u8", "i4", "u4", "i2"]),
    common=st.sampled_from(["f8", "f4", "c16"]),
    data=st.data(),
)
def test_exactly_the_values_that_change_are_refused(
    dtype: str, common: str, data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    near = st.sampled_from([2**24, 2**53, 2**62]).flatmap(
        lambda middle: st.integers(middle - 3, middle + 3)
    )
    number = st.integers(int(limits.min), int(limits.max)) | near.filter(lambda n: n <= limits.max)
    values = np.array(data.draw(st.lists(number, min_size=1, max_size=5)), dtype=dtype)
    kept = [int(np.dtype(common).type(value).real) == int(value) for value in values]
    if all(kept):
        check_exact(Field("n", values.dtype), values, np.dtype(common))
    else:
        lost = int(values[kept.index(False)])
        message = rf"^The values of `n` must keep their value as {np.dtype(common)}, .* got {lost} "
        with pytest.raises(ValueError, match=message):
            check_exact(Field("n", values.dtype), values, np.dtype(common))


def test_floats_and_narrow_integers_are_not_looked_at() -> None:
    check_exact(X, np.array([1e300]), np.dtype("f4"))
    check_exact(Field("n", np.dtype("i2")), np.array([7], "i2"), np.dtype("f4"))
