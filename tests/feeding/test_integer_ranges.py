"""The least and the largest of rows: those of NumPy, with as few blocks read as can be."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import bayou as by
from bayou.feeding.integer_ranges import array_extremes, source_extremes
from bayou.sources.base.field import Table

VALUES = arrays(np.int8, st.tuples(st.integers(1, 30), st.integers(1, 3)))


class Cut:
    """Rows in blocks, of which some have bounds that are known."""

    def __init__(self, values: np.ndarray, ends: Sequence[int], known: Sequence[bool]) -> None:
        self.parts = np.split(values, ends)
        self.known = known
        self.was_read: list[int] = []
        self.fields = {"x": by.Field("x", values.dtype, values.shape[1:])}
        self.blocks = [len(part) for part in self.parts]

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        self.was_read.append(block)
        for first in range(0, len(self.parts[block]), 2):
            yield {"x": self.parts[block][first : first + 2]}

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        part = self.parts[block]
        return (int(part.min()), int(part.max())) if self.known[block] else None


@given(VALUES, st.lists(st.integers(0, 30), max_size=4))
def test_extremes_are_those_of_all_rows(values: np.ndarray, ends: list[int]) -> None:
    source = Cut(values, sorted(ends), [False] * 5)
    found = source_extremes(by.source(source), ["x"], source.blocks)["x"]
    np.testing.assert_array_equal(found.values, [values.min(axis=0), values.max(axis=0)])
    np.testing.assert_array_equal(found.rows, [values.argmin(axis=0), values.argmax(axis=0)])


@given(arrays(np.int8, st.integers(5, 30)), st.lists(st.booleans(), min_size=3, max_size=3))
def test_blocks_that_hold_neither_are_not_read(values: np.ndarray, known: list[bool]) -> None:
    source = Cut(values, [1, 3], known)
    found = source_extremes(by.source(source), ["x"], source.blocks)["x"]
    assert found.values.ravel().tolist() == [values.min(), values.max()]
    np.testing.assert_array_equal(values[found.rows], found.values)
    unknown = {block for block in range(3) if not known[block]}
    assert unknown <= set(source.was_read)
    assert len(source.was_read) <= len(unknown) + 2


def test_only_whole_numbers_have_them() -> None:
    source = by.source({"x": np.zeros(3), "late": np.ones(3, bool), "empty": np.zeros((3, 0), int)})
    assert source_extremes(source, list(source.fields), [3]) == {}


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_large_numbers_are_exact(dtype: str) -> None:
    largest = np.iinfo(dtype).max
    found = array_extremes(np.array([3, largest, 5], dtype), start=10)
    assert str(found) == f"3 (row 10) to {largest} (row 11)"
