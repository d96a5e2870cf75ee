"""The seconds that a call may take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimit:
    """A moment at which work is to end.

    Attributes
    ----------
    budget : float or None
        Seconds from the begin; None for no limit.
    begin : float
        On the clock of :func:`time.monotonic`.
    """

    budget: float | None
    begin: float

    @classmethod
    def of(cls, budget: object) -> TimeLimit:
        """Return a limit that begins now.

        Raises
        ------
        ValueError
            If `budget` is neither None nor a number of seconds above 0.
        """
        begin = time.monotonic()
        if budget is None:
            return cls(None, begin)
        if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
            raise ValueError(
                f"`budget` must be a number of seconds above 0, or None, got {budget!r}.\n"
                "Hint: leave it out to climb until a rung passes."
            )
        return cls(float(budget), begin)

    @property
    def deadline(self) -> float:
        """The moment, on the clock of :func:`time.monotonic`; inf without a limit."""
        return math.inf if self.budget is None else self.begin + self.budget

    @property
    def is_over(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() >= self.deadline

    @property
    def elapsed(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self.begin
