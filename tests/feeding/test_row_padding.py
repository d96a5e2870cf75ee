import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayou.feeding.row_padding import pad_rows

ARRAYS = hnp.arrays(
    st.sampled_from(["float32", "float64", "int8", "int64", "bool"]),
    hnp.array_shapes(max_dims=3, max_side=5),
)


@given(ARRAYS, st.integers(0, 7), st.data())
def test_the_last_row_is_repeated(array: np.ndarray, missing: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, array.ndim - 1))
    num_rows = array.shape[axis]
    padded = np.moveaxis(pad_rows(array, num_rows + missing, axis), axis, 0)
    rows = np.moveaxis(array, axis, 0)
    assert padded.dtype == array.dtype
    np.testing.assert_array_equal(padded[:num_rows], rows)
    assert all(
        np.array_equal(row, rows[-1], equal_nan=row.dtype.kind == "f") for row in padded[num_rows:]
    )


def test_an_array_of_the_length_is_not_copied() -> None:
    array = np.arange(6.0).reshape(3, 2)
    assert pad_rows(array, 3) is array
    assert pad_rows(array, 2, axis=1) is array
