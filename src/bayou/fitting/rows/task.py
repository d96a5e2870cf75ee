"""The task that every method of fitting takes: a model, its rows, a start and seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bayou.fitting.rows.pass_counts import PassCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.feeding.feed import Feed


@dataclass(frozen=True)
class Task:
    """The model to fit, where to start, and what decides the random numbers.

    Attributes
    ----------
    program : Program
        The model as JAX functions.
    start : ndarray, shape (size,)
        The position to start from.
    noise_seed, row_seed : int
        Decide the Monte Carlo noise and the order of the rows.
    feeds : sequence of Feed
        Together they fill ``program.fed``.
    report : callable
        Called with the losses, in nats, of each chunk of steps that is done. It may raise
        StopIteration to end the fit.
    counter : PassCounter
        Counts how often the fit goes through the rows.
    """

    program: Program
    start: NDArray[np.float64]
    noise_seed: int
    row_seed: int
    feeds: Sequence[Feed]
    report: Callable[[NDArray[np.float64]], None]
    counter: PassCounter = field(default_factory=PassCounter)
