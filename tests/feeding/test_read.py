from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.feeding import read as module
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import (
    count_block_rows,
    fill_rows,
    read_pieces,
    read_rows,
    take_numbered,
)

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any)


def layout_of(source: Any) -> ColumnLayout:
    return ColumnLayout((source["row"], source["x"]))


@given(sizes=SIZES, known=st.booleans(), piece=st.integers(1, 10))
def test_blocks_are_counted(row_source: Any, sizes: list[int], known: bool, piece: int) -> None:
    source = row_source(sizes, known=known, piece=piece)
    assert count_block_rows(source, "x") == tuple(sizes)
    assert source.blocks_read == ([] if known else list(range(len(sizes))))


@given(
    sizes=SIZES,
    access=st.booleans(),
    piece=st.integers(1, 10),
    start=st.integers(0, 200),
    count=st.integers(0, 100),
)
def test_rows_follow_each_other_around_the_end(
    row_source: Any, sizes: list[int], access: bool, piece: int, start: int, count: int
) -> None:
    layout = layout_of(row_source(sizes, access=access, piece=piece))
    rows, values = read_rows(layout, sizes, start, count)
    expected = np.arange(start, start + count) % sum(sizes)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(values, expected / 2)


@given(sizes=SIZES, access=st.booleans(), piece=st.integers(1, 10), size=st.integers(1, 60))
def test_pieces_are_all_rows_in_order(
    row_source: Any, sizes: list[int], access: bool, piece: int, size: int
) -> None:
    layout = layout_of(row_source(sizes, access=access, piece=piece))
    pieces = [rows for rows, _ in read_pieces(layout, sizes, size)]
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(sum(sizes)))
    assert {len(rows) for rows in pieces[:-1]} <= {size}
    assert 1 <= len(pieces[-1]) <= size


@given(
    sizes=SIZES,
    access=st.booleans(),
    piece=st.integers(1, 10),
    size=st.integers(1, 60),
    ends=st.tuples(st.integers(0, 44), st.integers(1, 45)),
)
def test_a_part_is_read_from_its_blocks_alone(
    row_source: Any, sizes: list[int], access: bool, piece: int, size: int, ends: tuple[int, int]
) -> None:
    num_rows = sum(sizes)
    begin = min(ends[0], num_rows - 1)
    part = range(begin, min(max(ends[1], begin + 1), num_rows))
    source = row_source(sizes, access=access, piece=piece)
    pieces = [rows for rows, _ in read_pieces(layout_of(source), sizes, size, part)]
    np.testing.assert_array_equal(np.concatenate(pieces), np.array(part))
    if not access:
        stops = np.cumsum(sizes)
        needed = [i for i, stop in enumerate(stops) if stop > begin and stop - sizes[i] < part.stop]
        # Empty ones at the end of the source may be looked into, for rows that it should not have.
        assert [block for block in source.blocks_read if sizes[block]] == [
            block for block in needed if sizes[block]
        ]
    numbers = np.array(part)[::2]
    taken, _ = take_numbered(layout_of(source), sizes, numbers, size, part)
    np.testing.assert_array_equal(taken, numbers)


def test_rows_are_taken_in_calls_of_bounded_size(
    row_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TAKEN_ROWS", 4)
    source = row_source([30], access=True)
    taken: list[int] = []
    take = source.take
    source.take = lambda rows, names: taken.append(len(rows)) or take(rows, names)
    arrays = layout_of(source).empty(10)
    fill_rows(layout_of(source), [30], 5, arrays)
    assert taken == [4, 4, 2]
    np.testing.assert_array_equal(arrays[0], np.arange(5, 15))


def test_only_the_blocks_that_are_needed_are_read(row_source: Any) -> None:
    source = row_source([5, 5, 5, 5])
    read_rows(layout_of(source), source.sizes, 6, 6)
    assert source.blocks_read == [1, 2]


@pytest.mark.parametrize(("found", "received"), [([5, 4], "fewer"), ([5, 6], "more")])
def test_a_source_that_has_changed_is_refused(
    row_source: Any, found: list[int], received: str
) -> None:
    layout = layout_of(row_source([5, 5], found=found))
    text = f"`source` must yield 10 rows, got {received}.\nHint: the data changed since"
    with pytest.raises(ValueError, match=text):
        list(read_pieces(layout, [5, 5], 4))
    if received == "fewer":
        with pytest.raises(ValueError, match=text):
            read_rows(layout, [5, 5], 0, 10)
