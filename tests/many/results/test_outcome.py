"""Results of many data sets side by side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from bayou.many.results.outcome import judged, padded


@given(st.lists(array_shapes(min_dims=2, max_dims=2, max_side=4), min_size=1, max_size=5))
def test_padded_arrays_keep_their_values(shapes: list[tuple[int, ...]]) -> None:
    arrays = [np.arange(1.0, np.prod(shape) + 1).reshape(shape) for shape in shapes]
    joined = padded(arrays)
    assert joined.shape == (len(arrays), *np.max(shapes, axis=0))
    for array, found in zip(arrays, joined, strict=True):
        np.testing.assert_array_equal(found[tuple(map(slice, array.shape))], array)
        assert np.isfinite(found).sum() == array.size
    np.testing.assert_array_equal(padded([joined[:1], joined[1:]], whole=1), joined)


def test_judged_as_arviz_does_one_at_a_time() -> None:
    from arviz_stats.base.array import array_stats

    draws = np.random.default_rng(0).normal(size=(3, 4, 100, 2))
    draws[0, :, :, 1] = np.nan
    found = judged([draws[..., 0], draws])
    assert found["rhat"][0] == array_stats.rhat(draws[0, ..., 0], chain_axis=0, draw_axis=1)
    both = [array_stats.ess(draws[1, ..., part], chain_axis=0, draw_axis=1) for part in (0, 1)]
    assert found["ess_bulk"][1] == min(both)
    assert found["ess_tail"].shape == (3,)
