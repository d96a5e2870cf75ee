"""What tells the rows of a model apart, and the groups that they are in.

Rows are told apart by what the density takes. Of a normal variable, rows that share all but its
value need their number, mean and squares alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.traversal import walk

from bayou.compression.repetition import sample_repeats
from bayou.models.inputs import is_cast_of, uncast, value_inputs
from bayou.models.scaling.row_weights import is_normal
from bayou.preparation.distinct_rows import (
    PIECE_ROWS,
    Layout,
    group_outcomes,
    group_rows,
)
from bayou.sources.base.field import Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.batching.row_dim import ModelRows
    from bayou.containers.variables.dims import Numbers
    from bayou.sources.base.field import Table

WEIGHTS = "weights"


@dataclass(frozen=True, eq=False)
class RowColumns:
    """What tells the rows of a model apart.

    Attributes
    ----------
    columns : dict of int to ndarray, shapes (rows, ...)
        The rows that the density takes, by the identities of the values' containers.
    outcomes : dict of str to int
        The normal variables of which moments are enough, each with the container of its values.
    repeat : bool
        Whether a sample lets expect that at most half of the rows are distinct.
    """

    columns: dict[int, Numbers]
    outcomes: dict[str, int]
    repeat: bool


@dataclass(frozen=True, eq=False)
class RowGroups:
    """The distinct rows of a model.

    Attributes
    ----------
    values : dict of int to ndarray, shapes (groups, ...)
        The distinct rows, by the identities of the values' containers; of outcomes, their means.
    counts : ndarray, shape (groups,)
        The number of rows of each, or the sum of their weights.
    squares : dict of str to ndarray, shapes (groups, ...)
        The sums of the squared distances of outcomes from their means, by variable.
    """

    values: dict[int, Numbers]
    counts: NDArray[np.int64] | NDArray[np.float64]
    squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def find_columns(model: pm.Model, rows: ModelRows, *, is_weighted: bool = False) -> RowColumns:
    """Return what tells the rows of a model apart.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written.
    rows : ModelRows
        Its parts with an entry for each row.
    is_weighted : bool, default False
        Whether rows have weights: then outcomes are told apart as well.
    """
    columns = _columns(model, rows)
    repeat = bool(columns) and sample_repeats(list(columns.values()))
    # Where all columns repeat, outcomes are told apart as well.
    if repeat or is_weighted or not columns:
        return RowColumns(columns, {}, repeat)
    outcomes = _outcomes(model, rows)
    covariates = [values for key, values in columns.items() if key not in outcomes.values()]
    repeat = bool(outcomes) and (not covariates or sample_repeats(covariates))
    return RowColumns(columns, outcomes, repeat)


def group_model_rows(told: RowColumns, weights: Numbers | None, memory: int) -> RowGroups:
    """Return the distinct rows of a model with their counts.

    Parameters
    ----------
    told : RowColumns
        What tells them apart, at least one column.
    weights : ndarray, shape (rows,), or None
        Numbers that are added up in place of the numbers of rows. Without outcomes alone.
    memory : int
        The largest number of bytes that the distinct rows may take.

    Raises
    ------
    RepetitionError
        If they take more: says how many of the rows so far differ.
    """
    columns, outcomes = told.columns, told.outcomes
    fields = {
        key: Field(str(key), values.dtype, values.shape[1:]) for key, values in columns.items()
    }
    of_outcomes = [fields[key] for key in outcomes.values()]
    counted = None if weights is None else Field(WEIGHTS, weights.dtype)
    layout = Layout(tuple(each for each in fields.values() if each not in of_outcomes), counted)
    table = {str(key): values for key, values in columns.items()}
    if outcomes:
        if layout.fields and layout.row_bytes * len(table[layout.names[0]]) > memory:
            # Whether the groups fit is found piece by piece.
            group_rows(_pieces(table), layout, memory, lambda _: None)
        found = group_outcomes(table, layout, of_outcomes)
        values = found.values | found.means
        squares = {name: found.squares[str(key)] for name, key in outcomes.items()}
        return RowGroups({key: values[str(key)] for key in columns}, found.counts, squares)
    if weights is not None:
        table[WEIGHTS] = weights
    distinct, counts = group_rows(_pieces(table), layout, memory, lambda _: None)
    return RowGroups({key: distinct[str(key)] for key in columns}, counts)


def _columns(model: pm.Model, rows: ModelRows) -> dict[int, Numbers]:
    """Return the rows that the density takes, by the identities of the values' containers."""
    used = set(_values_used(_density_graphs(model)))
    columns: dict[int, Numbers] = {}
    for variable, (storage, axis) in rows.storages.items():
        if variable in used or storage in used:
            values = np.moveaxis(storage.get_value(borrow=True), axis, 0)
            # Rows without an element are all the same.
            if values[:1].size:
                columns[id(storage.container)] = values
    return columns


def taken_by_parameters(model: pm.Model, rows: ModelRows) -> str | None:
    """Return the name of a variable without rows whose density takes the values of rows.

    A prior by the standard deviation of an outcome has other values where rows are left out; the
    difference may be too small to be seen in a density.
    """
    of_rows = {*rows.storages, *(storage for storage, _ in rows.storages.values())}
    without_rows = (
        *model.free_RVs,
        *(variable for variable in model.observed_RVs if variable.name not in rows.observed),
        *(potential for potential in model.potentials if not potential.ndim),
    )
    taken = (v.name for v in without_rows if not of_rows.isdisjoint(_values_used([v])))
    return next(taken, None)


def _values_used(graphs: Sequence[Variable]) -> Iterable[Variable]:
    """Return the variables whose values, not only whose shapes, the graphs take."""
    used: Iterable[Variable] = walk(list(graphs), value_inputs, bfs=False)
    return used


def _density_graphs(model: pm.Model) -> list[Variable]:
    return [*model.basic_RVs, *model.potentials, *model.rvs_to_values.values()]


def _outcomes(model: pm.Model, rows: ModelRows) -> dict[str, int]:
    """Return the normal variables whose values nothing else takes.

    Returns
    -------
    dict of str to int
        By the name of the variable, the identity of the container of its values.
    """
    outcomes: dict[str, int] = {}
    for variable in model.observed_RVs:
        value = uncast(model.rvs_to_values[variable])
        if variable.name not in rows.observed or value not in rows.storages:
            continue
        storage, axis = rows.storages[value]
        has_elements = bool(storage.get_value(borrow=True)[:1].size)
        own = model.rvs_to_values[variable]
        # The moments of a function of the values are not those of the values.
        if not (is_normal(variable) and axis == 0 and has_elements and is_cast_of(own, value)):
            continue
        others = [graph for graph in _density_graphs(model) if graph is not own]
        is_used = any(
            getattr(each, "container", None) is storage.container or each is value
            for each in _values_used(others)
        )
        if not is_used:
            outcomes[variable.name] = id(storage.container)
    return outcomes


def _pieces(table: Table) -> Iterator[Table]:
    num_rows = len(next(iter(table.values())))
    for start in range(0, num_rows, PIECE_ROWS):
        part = slice(start, start + PIECE_ROWS)
        yield {name: values[part] for name, values in table.items()}
