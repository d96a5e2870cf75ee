"""Progress bars: of the steps of a fit, of rows, and of data sets.

They go to the standard error, so that what a program prints can be read by another one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
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

    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Task


def _bar(columns: tuple[ProgressColumn, ...], shown: bool) -> Progress:
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


class RateColumn(ProgressColumn):
    """The number of items a second.

    Parameters
    ----------
    form : str
        A format specification of the number, such as ",.1f".
    """

    def __init__(self, form: str) -> None:
        self._form = form
        super().__init__()

    def render(self, task: Task) -> Text:
        """Return the text of a bar, "-" as long as the rate is not known."""
        rate = task.finished_speed or task.speed
        return Text("-" if rate is None else format(rate, self._form))


@contextmanager
def step_progress(
    num_steps: int | None,
    shown: bool,
    callback: Callable[[int, NDArray[np.float64]], None] | None = None,
) -> Iterator[Callable[[NDArray[np.float64]], None]]:
    """Show a bar of the steps of a fit, with the ELBO.

    Parameters
    ----------
    num_steps : int or None
        The number of steps; None if a stopping rule decides.
    shown : bool
        Whether to show it.
    callback : callable, optional
        It is called with the number of steps so far, and the losses of the last of them.

    Yields
    ------
    callable
        Takes the losses of the steps since its last call, shape (steps,).
    """
    columns = (
        TextColumn("fit"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(",.0f"),
        TextColumn("steps/s  ELBO {task.fields[elbo]}"),
        TimeRemainingColumn(),
    )
    with _bar(columns, shown) as bar:
        task = bar.add_task("fit", total=num_steps, elbo="-")

        num_done = 0

        def advance(losses: NDArray[np.float64]) -> None:
            nonlocal num_done
            num_done += len(losses)
            # The mean of some steps, since one step's loss is noisy.
            bar.update(task, advance=len(losses), elbo=f"{-losses.mean():,.1f}")
            if callback is not None:
                callback(num_done, losses)

        yield advance


@contextmanager
def chain_progress(
    num_draws: int, num_done: int, shown: bool
) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar of the draws of all chains, with the number of divergences.

    Parameters
    ----------
    num_draws : int
        The number of draws of all chains together.
    num_done : int
        Those that an earlier call has drawn.
    shown : bool
        Whether to show it.

    Yields
    ------
    callable
        Takes the numbers of draws and of divergences so far, and what chains do.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(",.0f"),
        TextColumn("draws/s  {task.fields[divergences]} divergences"),
        TimeRemainingColumn(),
    )
    with _bar(columns, shown) as bar:
        task = bar.add_task("chains", total=num_draws, completed=num_done, divergences=0)

        def show(done: int, divergences: int, doing: str) -> None:
            bar.update(task, completed=done, divergences=divergences, description=doing)

        yield show


@contextmanager
def row_progress(
    label: str, num_rows: int | None, shown: bool, num_done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Show a bar of rows.

    Parameters
    ----------
    label : str
        What is done with the rows.
    num_rows : int or None
        The number of rows; None if it is not known.
    shown : bool
        Whether to show it.
    num_done : int, default 0
        The number of rows that an earlier call has done.

    Yields
    ------
    callable
        Takes the number of rows since its last call.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(
            "{task.completed:,.0f} rows"
            if num_rows is None
            else "{task.completed:,.0f}/{task.total:,.0f} rows"
        ),
        TimeRemainingColumn(),
    )
    with _bar(columns, shown) as bar:
        task = bar.add_task(label, total=num_rows, completed=num_done)

        def advance(count: int) -> None:
            bar.update(task, advance=count)

        yield advance


@contextmanager
def data_set_progress(
    num_data_sets: int | None, num_done: int, shown: bool
) -> Iterator[Callable[[bool], None]]:
    """Show a bar of data sets, with the number of those that failed.

    Parameters
    ----------
    num_data_sets : int or None
        The number of data sets; None if it is not known.
    num_done : int
        The number of data sets that an earlier call has done.
    shown : bool
        Whether to show it.

    Yields
    ------
    callable
        Takes whether the data set that has just ended failed.
    """
    columns = (
        TextColumn("data sets"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(",.1f"),
        TextColumn("a second, {task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )
    with _bar(columns, shown) as bar:
        task = bar.add_task("data sets", total=num_data_sets, completed=num_done, failed=0)

        def advance(failed: bool) -> None:
            bar.update(task, advance=1, failed=bar.tasks[0].fields["failed"] + failed)

        yield advance
