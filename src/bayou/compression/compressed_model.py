"""A model of the distinct rows of its data, each of which counts as often as it occurs.

A likelihood that is a product over rows has equal factors for equal rows. The containers of rows
are replaced by the distinct rows among them, with their counts as weights: the log density is the
same but for rounding, and costs what the distinct rows cost.

Of a normal variable, rows that share all but its value need their number, mean and squares alone,
so that continuous outcomes with few different covariates are compressed too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor
from pytensor.graph.traversal import walk

from bayou.batching.batched import independent_rows
from bayou.batching.replaced_rows import replace_rows
from bayou.batching.row_dim import find_rows, guess_rows, holds_minibatches
from bayou.batching.row_independence import GENERAL_HINT
from bayou.batching.total_size_checks import check_row_total_sizes
from bayou.compression.repetition import MOST_DISTINCT, sample_repeats
from bayou.compression.weighted_model import with_row_weights
from bayou.containers.sparse.sparse_container import is_sparse_variable
from bayou.containers.variables.source_variable import window_of
from bayou.models.inputs import uncast, value_inputs
from bayou.models.scaling.row_weights import is_normal
from bayou.models.scaling.total_size import without_row_total_size
from bayou.preparation.distinct_rows import PIECE_ROWS, Layout, group_outcomes, group_rows
from bayou.sources.base.field import Field
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.basic import Variable

    from bayou.batching.row_dim import ModelRows
    from bayou.containers.variables.dims import Numbers
    from bayou.sources.base.field import Table

# With fewer rows, building the other model takes longer than it saves: a tenth of a second, which
# the loop over ten small data sets would pay each time.
LEAST_ROWS = 10_000
# The distinct rows are at most as many as the rows that are in memory already.
NO_LIMIT = 2**62
COUNTS = "row_counts"


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """A model of distinct rows.

    Attributes
    ----------
    model : pymc.Model
        With the free variables of the written model.
    num_rows : int
        The rows of the written model.
    num_distinct : int
        Those of this one.
    names_of_rows : frozenset of str
        The deterministics that depend on rows. Here they are of the distinct rows alone.
    outcomes : tuple of str
        The normal variables that are observed at means of rows.
    """

    model: pm.Model
    num_rows: int
    num_distinct: int
    names_of_rows: frozenset[str]
    outcomes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the numbers of rows, for results."""
        if self.outcomes:
            groups = f"{self.num_distinct:,} groups, each with its count, mean and squares"
            return f"{self.num_rows:,} rows as {groups}"
        return f"{self.num_rows:,} rows as {self.num_distinct:,} distinct, each counted"


class CompressionError(ValueError):
    """A model whose rows cannot be replaced by the distinct ones; the message says why."""


def check_compress(compress: object) -> None:
    """Check the argument `compress`.

    Raises
    ------
    ValueError
        If it is neither a bool nor "auto".
    """
    if not (isinstance(compress, bool) or compress == "auto"):
        raise ValueError(
            f'`compress` must be "auto", True or False, got {compress!r}.\n'
            'Hint: "auto" counts equal rows where at most half of them are distinct.'
        )


def choose_compression(
    compress: bool | str, model: pm.Model, names: Collection[str] = ()
) -> CompressedModel | None:
    """Return a model of distinct rows, as the argument `compress` asks for it.

    Parameters
    ----------
    compress : bool or "auto"
        True to have one or an error, "auto" to have one where the rows repeat enough.
    model : pymc.Model
        The model as it is written.
    names : collection of str, default ()
        Variables that are computed of this model, which must not be of rows.

    Returns
    -------
    CompressedModel or None
        None to take the model as it is written.

    Raises
    ------
    ValueError
        If `compress` is none of these, or it is True and the rows cannot be counted.
    """
    check_compress(compress)
    if compress is False:
        return None
    compressed = compressed_model(model) if compress is True else compressed_if_repeated(model)
    if compressed is None or not compressed.names_of_rows.intersection(names):
        return compressed
    if compress == "auto":
        return None
    of_rows = sorted(compressed.names_of_rows.intersection(names))
    raise CompressionError(
        "`compress=True` must come with results that do not depend on rows, got "
        f"{listed(of_rows)}.\n"
        "Hint: leave them out of `var_names`; by.predict computes them for any rows."
    )


def compressed_model(model: pm.Model) -> CompressedModel:
    """Return a model of the distinct rows of a model.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors, written with all of its data. It stays as it is.

    Raises
    ------
    CompressionError
        If the likelihood is no product over rows, or not all of the rows are in memory.
    """
    if holds_minibatches(model):
        raise _error("the model holds minibatches or generators.")
    try:
        rows = find_rows(model, guess=True)
        check_row_total_sizes(model, rows)
        if not (obstacle := _rows_obstacle(rows)):
            rows = independent_rows(model, rows)
            obstacle = _rows_obstacle(rows)
    except ValueError as error:
        raise _error(str(error).partition("\n")[0]) from None
    if obstacle:
        raise _error(obstacle)
    groups = _find_groups(model, rows)
    if not groups.columns:
        raise _error("its rows have no element.")
    return _compress(model, rows, groups)


def compressed_if_repeated(model: pm.Model) -> CompressedModel | None:
    """Return a model of the distinct rows of a model, if these are at most half of all.

    Where nothing repeats, this costs a look at some thousand rows. Fewer than 10,000 rows are left
    as they are.

    Returns
    -------
    CompressedModel or None
        None if the rows do not repeat that often, or :func:`compressed_model` would raise.
    """
    if holds_minibatches(model):
        return None
    try:
        rows = find_rows(model)
    except ValueError:
        guessed = guess_rows(model, with_arrays=True)
        if guessed is None:
            return None
        rows = guessed
    if _rows_obstacle(rows) or rows.num_rows < LEAST_ROWS:
        return None
    if not _find_groups(model, rows).repeat:
        return None
    try:
        compressed = compressed_model(model)
    except CompressionError:
        return None
    is_smaller = compressed.num_distinct <= MOST_DISTINCT * compressed.num_rows
    return compressed if is_smaller else None


def _error(reason: str) -> CompressionError:
    return CompressionError(
        f"`compress=True` must have rows that can be counted, but {reason}\n"
        'Hint: leave it at "auto", which compresses where that is possible and pays.'
    )


def _rows_obstacle(rows: ModelRows) -> str | None:
    if rows.latent:
        return f"{rows.latent[0]!r} has a value for each row."
    for storage, _ in rows.storages.values():
        if is_sparse_variable(storage):
            return f"{storage.name!r} is a sparse matrix."
        if window_of(storage) is not None:
            return f"only a part of the rows of {storage.name!r} is in memory; see by.compress."
    return None


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
        if not (is_normal(variable) and axis == 0 and has_elements):
            continue
        own = model.rvs_to_values[variable]
        others = [graph for graph in _density_graphs(model) if graph is not own]
        is_used = any(
            getattr(each, "container", None) is storage.container or each is value
            for each in _values_used(others)
        )
        if not is_used:
            outcomes[variable.name] = id(storage.container)
    return outcomes


@dataclass(frozen=True, eq=False)
class _Groups:
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


def _find_groups(model: pm.Model, rows: ModelRows) -> _Groups:
    columns = _columns(model, rows)
    # Where all columns repeat, outcomes are told apart as well.
    if not columns or sample_repeats(list(columns.values())):
        return _Groups(columns, {}, repeat=bool(columns))
    outcomes = _outcomes(model, rows)
    covariates = [values for key, values in columns.items() if key not in outcomes.values()]
    repeat = bool(outcomes) and (not covariates or sample_repeats(covariates))
    return _Groups(columns, outcomes, repeat)


def _compress(model: pm.Model, rows: ModelRows, groups: _Groups) -> CompressedModel:
    columns, outcomes = groups.columns, groups.outcomes
    num_rows = len(next(iter(columns.values())))
    fields = {
        key: Field(str(key), values.dtype, values.shape[1:]) for key, values in columns.items()
    }
    of_outcomes = [fields[key] for key in outcomes.values()]
    layout = Layout(tuple(each for each in fields.values() if each not in of_outcomes), None)
    distinct: Table
    counts: NDArray[np.int64] | NDArray[np.float64]
    squares: dict[str, NDArray[np.float64]] = {}
    if outcomes:
        table = {str(key): values for key, values in columns.items()}
        found = group_outcomes(table, layout, of_outcomes)
        distinct, counts = found.values | found.means, found.counts
        squares = {name: found.squares[str(key)] for name, key in outcomes.items()}
    else:
        distinct, counts = group_rows(_pieces(columns), layout, NO_LIMIT, lambda _: None)
    by_container: dict[int, SharedVariable] = {}
    for storage, axis in rows.storages.values():
        key = id(storage.container)
        if key in by_container:
            continue
        if key in columns:
            values = np.moveaxis(distinct[str(key)], 0, axis)
        else:
            # Nothing that the density takes; any row serves.
            values = np.take(storage.get_value(borrow=True), np.zeros(len(counts), np.intp), axis)
        by_container[key] = _like(storage, values)
    first, axis = next(iter(rows.storages.values()))
    length = by_container[id(first.container)].shape[axis]
    rebuilt = replace_rows(model, rows, by_container, length, GENERAL_HINT)
    for variable in model.observed_RVs:
        if variable.name in rows.observed:
            rebuilt[variable] = without_row_total_size(rebuilt.get(variable, variable))
    of_distinct = with_row_weights(
        model,
        rows,
        rebuilt,
        _shared(counts, COUNTS),
        {name: _shared(values, f"{name}_squares") for name, values in squares.items()},
    )
    of_rows = (variable.name for variable in model.deterministics if variable in rebuilt)
    return CompressedModel(of_distinct, num_rows, len(counts), frozenset(of_rows), tuple(outcomes))


def _shared(values: NDArray[np.generic], name: str) -> SharedVariable:
    return pytensor.shared(values.astype(pytensor.config.floatX), name=name)


def _like(storage: SharedVariable, values: NDArray[np.generic]) -> SharedVariable:
    """Return a container of other rows, with the name and the broadcasting of one."""
    shape = [1 if length == 1 else None for length in storage.type.shape]
    return pytensor.shared(np.ascontiguousarray(values), name=storage.name, shape=shape)


def _pieces(columns: dict[int, Numbers]) -> Iterator[Table]:
    num_rows = len(next(iter(columns.values())))
    for start in range(0, num_rows, PIECE_ROWS):
        part = slice(start, start + PIECE_ROWS)
        yield {str(key): values[part] for key, values in columns.items()}
