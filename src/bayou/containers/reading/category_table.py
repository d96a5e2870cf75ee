"""The categories that the codes of a container stand for, and the check of codes against them.

A container with ``categories=`` holds codes (int32): code ``k`` is the k-th label of the dim that
``categories`` names. Values are looked up in that table, whatever codes the new data have
themselves. Values outside the table become the category ``unknown`` if the container has one, and
raise ValueError otherwise, by :class:`bayou.sources.derived.unknown_categories.Codes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.feeding.read import read_tables
from bayou.sources.base.text_codes import distinct_texts
from bayou.text import listed

if TYPE_CHECKING:
    import pymc as pm

    from bayou.containers.variables.dims import Numbers
    from bayou.sources.base.field import Field
    from bayou.sources.base.source import Source


def category_table(
    model: pm.Model, container: str, source: Source, field: Field, dim: str, unknown: str | None
) -> tuple[str, ...]:
    """Return the categories that the codes of a new container stand for.

    Parameters
    ----------
    model : pymc.Model
        If it has the dim already, the labels of the dim are the categories.
    container : str
        The name of the container, for errors.
    source : Source
        The source of the column.
    field : Field
        The column. If the model has no such dim, its categories are taken, or its texts in
        alphabetical order, which takes a pass over its rows.
    dim : str
        The dim of the categories.
    unknown : str or None
        Added to the categories of the column if missing.

    Raises
    ------
    ValueError
        If the dim of the model has no labels, or not the label `unknown`; if there are no
        categories, or two that are the same as text.
    """
    if dim in model.coords:
        labels = model.coords[dim]
        if labels is None:
            raise ValueError(
                f"`categories` of data container {container!r} must name a dim with labels, got "
                f"{dim!r}, which has none.\nHint: name another dim, or give it labels."
            )
        # As text, like the categories of every column: labels may be numbers or intervals.
        table = tuple(map(str, labels))
        if unknown is not None and unknown not in table:
            raise ValueError(
                f"`unknown` of data container {container!r} must be a label of the dim {dim!r}, "
                f"which the model has already, got {unknown!r}.\n"
                f"Hint: the labels are {listed(table)}."
            )
    else:
        known = field.categories
        table = _distinct_texts(source, field) if known is None else known
        if unknown is not None and unknown not in table:
            table = (*table, unknown)
    if not table or len(set(table)) < len(table):
        raise ValueError(
            f"`categories` of data container {container!r} must differ, and be one at least, got "
            f"{listed(table) or 'none'}.\nHint: look at the values of the column {field.name!r}."
        )
    return table


def _distinct_texts(source: Source, field: Field) -> tuple[str, ...]:
    texts: set[str] = set()
    for rows in read_tables(source, [field.name]):
        texts.update(distinct_texts(field, rows[field.name]))
    # Sorted, so that the codes do not depend on the order of the rows.
    return tuple(sorted(texts))


def check_codes(argument: str, values: Numbers, categories: tuple[str, ...]) -> None:
    """Check that codes which a user passes stand for categories.

    Parameters
    ----------
    argument : str
        The argument that they came from, as the subject of the error.
    values : ndarray of integers, shape (rows,)
        The codes.
    categories : tuple of str
        The categories of the codes 0, 1, ...

    Raises
    ------
    ValueError
        If a code is below 0 or beyond the last category.
    """
    rows = np.flatnonzero((values < 0) | (values >= len(categories)))
    if len(rows):
        raise ValueError(
            f"{argument} must hold codes from 0 to {len(categories) - 1}, of {listed(categories)}, "
            f"got {values[rows[0]]} in row {rows[0]}.\n"
            "Hint: pass the categories themselves; bayou turns them into codes."
        )
