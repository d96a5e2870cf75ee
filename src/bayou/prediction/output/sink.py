"""The contract of the sinks that predictions of rows are written to, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.output.template import PredictionTemplate


class Sink[Reduced](Protocol):
    """Takes the predictions of all rows.

    Rows are put in any order, by several threads, each of them once. :meth:`flush` is called by one
    thread, and :meth:`finish` last.
    """

    @property
    def template(self) -> PredictionTemplate:
        """The dataset that is written."""

    @property
    def reduction(self) -> Callable[[Arrays], Reduced]:
        """A function from predictions of rows, shapes (draws, ...), to what :meth:`put` takes.

        It runs where the rows are computed, and is pickled to get there.
        """

    def put(self, start: int, count: int, values: Reduced) -> None:
        """Take ``count`` rows from ``start`` on, as the reduction returned them."""

    def flush(self, num_rows: int) -> None:
        """Write the first ``num_rows`` rows, all of which were put, so that a crash keeps them."""

    def finish(self, shared: Arrays) -> None:
        """Write the predictions that are the same for all rows, shapes (draws, ...)."""
