"""Checks that whole numbers in rows that a fit reads while it runs are levels of what they index.

Rows in memory are checked before. Of a source, the rows with the least and the largest whole
numbers are checked at the start. The items of a generator are checked as they are taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayou.containers.index_bounds import check_indices, indexing_storages, storage_key
from bayou.containers.variables.source_variable import window_of
from bayou.feeding.feed import ItemFeed
from bayou.fitting.rows.feeds import program_feeds
from bayou.models.inputs import storage_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs, Program
    from bayou.feeding.feed import Feed
    from bayou.feeding.source_batches import AnyOrder
    from bayou.fitting.rows.pilot_sample import NamedExtremes


def checked_feeds(
    model: pm.Model, program: Program, order: AnyOrder, seed: int
) -> tuple[Feed, ...]:
    """Return the feeds of a program, in which items of generators are checked as they are taken.

    Parameters
    ----------
    model : pymc.Model
        The model that is fitted.
    program : Program
        The same model.
    order : {"epoch", "uniform"}, Weighted or Stratified
        The order of the rows.
    seed : int
        Decides the rows.

    Raises
    ------
    ValueError
        If the rows cannot be read in that order.
    """
    indexing = indexing_storages(model)
    # A feed of items has one variable.
    feeds, number = [], 0
    for feed in program_feeds(program, order, seed):
        variable = program.fed[number]
        if isinstance(feed, ItemFeed) and storage_key(variable) in indexing:
            feed = replace(feed, take=_checked_items(model, variable, feed.take))  # noqa: PLW2901
        feeds.append(feed)
        number += len(feed.shapes)
    return tuple(feeds)


def check_source_indices(
    model: pm.Model, program: Program, inputs: Inputs, extremes: NamedExtremes
) -> None:
    """Check the rows of sources that hold the least and the largest whole numbers.

    Parameters
    ----------
    model : pymc.Model
        The model that is fitted.
    program : Program
        The same model.
    inputs : tuple of array
        Rows that include those.
    extremes : sequence of (str, Extremes)
        The least and the largest whole numbers, by the names of their columns.

    Raises
    ------
    IndexError
        Names the container, the value and its row.
    """
    fed = dict(zip(program.fed, map(np.asarray, inputs), strict=False))
    windows = {variable: window_of(storage_of(variable)) for variable in fed}
    if not any(windows.values()):
        return
    # Minibatches without a name of their own share one.
    columns: dict[str, list[str]] = {}
    for variable, window in windows.items():
        if window:
            columns.setdefault(str(variable.name), []).extend(window.column.names)
    by_column = dict(extremes)

    def row_text(name: str, _: int, value: np.integer) -> str:
        for column in columns.get(name, ()):
            if column in by_column and (at := by_column[column].values == value).any():
                where = "" if column == name else f" of the column {column!r}"
                return f" in row {by_column[column].rows[at][0]}{where}"
        return ""

    check_indices(model, fed, row_text)


def _checked_items(
    model: pm.Model, variable: Variable, take: Callable[[], Numbers]
) -> Callable[[], Numbers]:
    def take_and_check() -> Numbers:
        item = take()
        check_indices(model, {variable: item})
        return item

    return take_and_check
