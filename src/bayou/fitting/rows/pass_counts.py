"""The number of times that a fit goes through its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bayou.density.evaluator import Block


class PassCounter:
    """The passes so far: rows that were gone through, of all rows.

    A pass evaluates the rows at all draws of the fit together. One through a sample counts as much
    as the sample is of all rows.
    """

    def __init__(self) -> None:
        self.passes = 0.0

    @property
    def passes_or_none(self) -> float | None:
        """The passes so far; None where rows have no number, as those of a generator."""
        return None if math.isnan(self.passes) else self.passes

    def counted(self, blocks: Iterable[Block], part: float = 1.0) -> CountedBlocks:
        """Return blocks that are counted whenever they are gone through.

        Parameters
        ----------
        blocks : iterable of Block
            Rows, whose shares add up to one.
        part : float, default 1
            The part that they are of all rows.
        """
        return CountedBlocks(blocks, part, self)


@dataclass(frozen=True)
class CountedBlocks:
    """Blocks of rows, and the counter of the passes through them.

    Attributes
    ----------
    blocks : iterable of Block
        The rows.
    part : float
        The part that they are of all rows.
    counter : PassCounter
        Counts them.
    """

    blocks: Iterable[Block]
    part: float
    counter: PassCounter

    def __iter__(self) -> Iterator[Block]:
        """Go through the blocks, each of which is counted once it is done with."""
        for block in self.blocks:
            yield block
            self.counter.passes += self.part * block.share
