"""Rows in chunks and units: each row once, checked before it is predicted, resumed by digest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pytensor.tensor import vector

from bayou.prediction.chunks import NOTHING_DONE, ChunkSizes, Done, _IntegerRanges, read_chunks
from bayou.prediction.new_rows import NewRows


class Checks:
    """Stands for a predictor, and keeps the rows that it is to check."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def check(self, rows: Any) -> None:
        self.rows.append(rows)


def rows_of(*arrays: Any) -> NewRows:
    containers = tuple(vector(f"x{number}") for number, _ in enumerate(arrays))
    return NewRows(
        containers, len(arrays[0]), (), arrays=dict(zip(containers, arrays, strict=True))
    )


def chunks_of(rows: NewRows, chunk: int, unit: int, done: Done = NOTHING_DONE) -> list[Any]:
    predictor: Any = Checks()
    return list(read_chunks(rows, predictor, ChunkSizes(chunk, unit), done))


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 5))
def test_each_row_is_in_one_unit(num_rows: int, unit: int, units: int) -> None:
    chunks = chunks_of(rows_of(np.arange(num_rows)), unit * units, unit)
    every = [unit for units in chunks for unit in units]
    for found in every:
        assert found.begin % unit == 0
        assert found.num_rows <= unit
        assert found.rows[0][0] == found.begin
    assert np.concatenate([unit.rows[0] for unit in every]).tolist() == list(range(num_rows))
    # The last unit of each chunk knows what is done with it.
    for units_of_chunk in chunks:
        *others, last = units_of_chunk
        assert all(unit.chunk_done is None for unit in others)
        assert last.chunk_done.num_rows == last.begin + last.num_rows


def test_done_rows_are_left_out() -> None:
    rows = rows_of(np.arange(10.0))
    chunks = chunks_of(rows, 4, 2)
    done = chunks[0][-1].chunk_done
    assert done.num_rows == 4
    rest = chunks_of(rows, 4, 2, done)
    assert [unit.begin for units in rest for unit in units] == [4, 6, 8]
    assert rest[-1][-1].chunk_done == chunks[-1][-1].chunk_done


def test_other_rows_are_not_continued() -> None:
    done = chunks_of(rows_of(np.arange(10.0)), 4, 2)[0][-1].chunk_done
    with pytest.raises(
        ValueError, match=r"`data` must be those that `out` was begun with, .* first 4 rows"
    ):
        chunks_of(rows_of(np.arange(10.0) + 1), 4, 2, done)


def test_rows_with_new_integers_are_checked_alone() -> None:
    predictor: Any = Checks()
    rows = rows_of(np.array([0, 2, 1, 2, 3, 0]), np.arange(6.0))
    list(read_chunks(rows, predictor, ChunkSizes(2, 2), NOTHING_DONE))
    codes = [checked[0].tolist() for checked in predictor.rows]
    # The third chunk has a code beyond those so far; floats are no indices.
    assert codes == [[0, 2], [3, 0]]


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 20), st.just(2)), elements=st.integers(-5, 5)))
def test_extreme_rows_have_all_extremes(values: Any) -> None:
    ranges = _IntegerRanges()
    extreme: list[Any] = []
    for start in range(0, len(values), 3):
        chunk = values[start : start + 3]
        extreme += list(chunk[ranges.extended_by([chunk])])
    found = np.array(extreme)
    assert (found.min(axis=0) == values.min(axis=0)).all()
    assert (found.max(axis=0) == values.max(axis=0)).all()
