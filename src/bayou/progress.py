"""The progress bars: steps of a fit and its latest ELBO, rows of predictions, data sets of many."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from rich.progress import Task


class RateColumn(ProgressColumn):
    """How many there are a second, worked out when it is shown."""

    def __init__(self, form: str) -> None:
        self._form = form
        super().__init__()

    def render(self, task: Task) -> Text:
        """Return the text for a task."""
        rate = task.finished_speed or task.speed
        return Text("-" if rate is None else format(rate, self._form))


@contextmanager
def step_progress(num_steps: int | None, shown: bool) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Show a bar; yield a function that takes the losses of the steps just done."""
    columns = (
        TextColumn("fit"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(",.0f"),
        TextColumn("steps/s  ELBO {task.fields[elbo]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task("fit", total=num_steps, elbo="-")

        def advance(losses: NDArray[Any]) -> None:
            bar.update(task, advance=len(losses), elbo=f"{-losses.mean():,.1f}")

        yield advance


@contextmanager
def row_progress(num_rows: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar; yield a function that takes the number of rows just predicted."""
    columns = (
        TextColumn("predict"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task("predict", total=num_rows)
        yield lambda count: bar.update(task, advance=count)


@contextmanager
def data_set_progress(
    number: int | None, done: int, shown: bool
) -> Iterator[Callable[[bool], None]]:
    """Show a bar; yield a function that takes whether the data set that just ended has failed."""
    columns = (
        TextColumn("data sets"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(",.1f"),
        TextColumn("a second, {task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task("data sets", total=number, completed=done, failed=0)

        def advance(failed: bool) -> None:
            bar.update(task, advance=1, failed=bar.tasks[0].fields["failed"] + failed)

        yield advance
