"""The keyed permutation: every place once, any stretch by itself, and another one for each key."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from bayou.sampling.epoch import epoch_rows
from bayou.sampling.permutation import permutation
from bayou.sampling.uniform import GOLDEN, mix, stream_key

keys = st.integers(0, 2**64 - 1).map(np.uint64)


@given(key=keys, size=st.integers(1, 3000))
def test_every_place_once(key: np.uint64, size: int) -> None:
    places = permutation(key, size, 0, size)
    assert places.dtype == np.int64
    np.testing.assert_array_equal(np.sort(places), np.arange(size))


@given(key=keys, size=st.integers(1, 10**12), start=st.floats(0, 1), count=st.integers(0, 50))
def test_any_stretch_by_itself(key: np.uint64, size: int, start: float, count: int) -> None:
    first = min(size - 1, int(start * size))
    count = min(count, size - first)
    whole = permutation(key, size, first, count)
    assert ((whole >= 0) & (whole < size)).all()
    singles = [permutation(key, size, first + place, 1)[0] for place in range(count)]
    np.testing.assert_array_equal(whole, singles)


@given(key=keys, size=st.integers(1, 10**5) | st.integers(1, 10**11), start=st.floats(0, 1))
@example(key=np.uint64(1), size=512, start=0.0)
@example(key=np.uint64(1), size=513, start=0.0)
@example(key=np.uint64(1), size=1025, start=0.0)
def test_epochs_are_made_of_it(key: np.uint64, size: int, start: float) -> None:
    first = min(size - 1, int(start * size))
    count = min(2000, size - first)
    with np.errstate(over="ignore"):
        expected = permutation(mix(key + np.uint64(3) * GOLDEN), size, first, count)
    rows = epoch_rows(key, 3 * size + first, count, size, 1)
    np.testing.assert_array_equal(rows.ravel(), expected)


def test_keys_differ() -> None:
    orders = {tuple(permutation(stream_key(seed), 30, 0, 30)) for seed in range(100)}
    assert len(orders) == 100
