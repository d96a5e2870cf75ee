"""The count of passes: rows that were gone through, of all rows."""

import math

from bayou.density.evaluator import Block
from bayou.fitting.rows.pass_counts import PassCounter


def test_blocks_count_by_their_share() -> None:
    counter = PassCounter()
    blocks = counter.counted([Block((), 0.75, 3), Block((), 0.25, 1)], part=0.1)
    assert len(list(blocks)) == 2
    assert math.isclose(counter.passes, 0.1)
    # What is left early counts as far as it was done.
    next(iterator := iter(blocks))
    next(iterator)
    assert math.isclose(counter.passes, 0.175)


def test_rows_without_a_number() -> None:
    counter = PassCounter()
    assert counter.passes_or_none == 0
    counter.passes += math.nan
    assert counter.passes_or_none is None
