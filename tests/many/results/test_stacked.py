"""Results of many data sets side by side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from bayou.many.results.stacked import join_padded, stack_padded


@given(st.lists(array_shapes(min_dims=2, max_dims=2, max_side=4), min_size=1, max_size=5))
def test_padded_arrays_keep_their_values(shapes: list[tuple[int, ...]]) -> None:
    arrays = [np.arange(1.0, np.prod(shape) + 1).reshape(shape) for shape in shapes]
    joined = stack_padded(arrays)
    assert joined.shape == (len(arrays), *np.max(shapes, axis=0))
    for array, found in zip(arrays, joined, strict=True):
        np.testing.assert_array_equal(found[tuple(map(slice, array.shape))], array)
        assert np.isfinite(found).sum() == array.size
    np.testing.assert_array_equal(join_padded([joined[:1], joined[1:]]), joined)
