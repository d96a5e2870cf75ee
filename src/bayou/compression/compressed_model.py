"""A model of the distinct rows of its data, each of which counts as often as it occurs.

A likelihood that is a product over rows has equal factors for equal rows. The containers of rows
are replaced by the distinct rows among them, with their counts as weights: the log density is the
same but for rounding, and costs what the distinct rows cost.

Of a normal variable, rows that share all but its value need their number, mean and squares alone,
so that continuous outcomes with few different covariates are compressed too.

Where what is observed has rows along several dims, the rows of one after another are compressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bayou.batching.batched import independent_rows
from bayou.batching.row_dim import find_rows, first_dims_of, guess_rows, holds_minibatches
from bayou.batching.row_terms import FAILURES, first_line
from bayou.batching.total_size_checks import check_row_total_sizes
from bayou.compression.distinct_model import DensityError, distinct_model
from bayou.compression.repetition import MOST_DISTINCT
from bayou.compression.row_groups import find_columns, taken_by_parameters
from bayou.compression.weighted_model import weighted_model
from bayou.containers.sparse.sparse_container import is_sparse_variable
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of
from bayou.errors import warn
from bayou.models.missing_values import imputed_names
from bayou.preparation.distinct_rows import RepetitionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    from pytensor.compile.sharedvalue import SharedVariable

    from bayou.batching.row_dim import ModelRows
    from bayou.containers.variables.dims import ContainerArrays

# With fewer rows, building the other model takes longer than it saves: a tenth of a second, which
# the loop over ten small data sets would pay each time.
LEAST_ROWS = 10_000
# Of distinct rows, as by.compress may take.
MOST_BYTES = 2**30


@dataclass(frozen=True)
class CompressedRows:
    """The rows along one dim that were replaced by the distinct ones.

    Attributes
    ----------
    dim : str
        The dim of the rows; empty if they have none.
    num_rows : int
        The rows of the written model.
    num_distinct : int
        The distinct ones.
    outcomes : tuple of str
        The normal variables that are observed at means of rows.
    is_weighted : bool
        Whether rows count as often as their weights say.
    """

    dim: str
    num_rows: int
    num_distinct: int
    outcomes: tuple[str, ...]
    is_weighted: bool

    def __str__(self) -> str:
        """Return the numbers of rows, for results."""
        if self.outcomes:
            groups = f"{self.num_distinct:,} groups, each with its count, mean and squares"
            return f"{self.num_rows:,} rows as {groups}"
        how = "with the sum of its weights" if self.is_weighted else "counted"
        return f"{self.num_rows:,} rows as {self.num_distinct:,} distinct, each {how}"


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """A model of distinct rows.

    Attributes
    ----------
    model : pymc.Model
        With the free variables of the written model. It has the distinct rows until those of other
        data take their place.
    parts : tuple of CompressedRows
        The rows that were replaced, by dim.
    left : dict of str to str
        Why the rows of other dims are as they are, by dim.
    names_of_rows : frozenset of str
        The deterministics that depend on rows. Here they are of the distinct rows alone.
    arrays : dict of SharedVariable to ndarray
        The distinct rows and their counts, by the variables of the model that they are put into.
    """

    model: pm.Model
    parts: tuple[CompressedRows, ...]
    left: dict[str, str]
    names_of_rows: frozenset[str]
    arrays: ContainerArrays

    @property
    def num_rows(self) -> int:
        """The rows of the written model that were replaced."""
        return sum(part.num_rows for part in self.parts)

    @property
    def num_distinct(self) -> int:
        """The distinct rows in their place."""
        return sum(part.num_distinct for part in self.parts)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The normal variables that are observed at means of rows."""
        return tuple(name for part in self.parts for name in part.outcomes)

    def __str__(self) -> str:
        """Return the numbers of rows, for results."""
        if len(self.parts) + len(self.left) == 1:
            return str(self.parts[0])
        texts = [f"{part.dim}: {part}" for part in self.parts]
        texts += [f"{dim}: all rows, since {reason}" for dim, reason in self.left.items()]
        return "; ".join(texts)


class CompressionError(ValueError):
    """A model whose rows cannot be replaced by the distinct ones; the message says why."""


class _ObstacleError(Exception):
    """Why the rows along a dim cannot be replaced: a clause without a full stop."""


def compressed_model(
    model: pm.Model, weights: SharedVariable | None = None, memory: int = MOST_BYTES
) -> CompressedModel:
    """Return a model of the distinct rows of a model.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors, written with all of its data. It stays as it is.
    weights : SharedVariable, optional
        A container of the model that says how often each row counts, shape (rows,). Rows that
        differ in it alone are the same; their weights are added up.
    memory : int, default 1 GiB
        The largest number of bytes that the distinct rows may take.

    Raises
    ------
    CompressionError
        If the likelihood is no product over rows, not all of the rows are in memory, or the
        distinct ones take more than `memory`. Of several dims of rows, one that can be compressed
        is enough.
    """
    try:
        return _compress_dims(model, weights, partial(_distinct_rows, memory=memory))
    except _ObstacleError as obstacle:
        raise CompressionError(
            f"`compress=True` must have rows that can be counted, but {obstacle}.\n"
            'Hint: leave it at "auto", which compresses where that is possible and pays.'
        ) from None


def compressed_if_repeated(
    model: pm.Model, weights: SharedVariable | None = None, memory: int = MOST_BYTES
) -> CompressedModel | None:
    """Return a model of the distinct rows of a model, if these are at most half of all.

    Where nothing repeats, this costs a look at some thousand rows. Fewer than 10,000 rows are left
    as they are. Of several dims, each is looked at by itself.

    Parameters
    ----------
    model, weights, memory
        As for :func:`compressed_model`.

    Returns
    -------
    CompressedModel or None
        None if the rows do not repeat that often, or :func:`compressed_model` would raise.
    """
    try:
        return _compress_dims(model, weights, partial(_repeated_rows, memory=memory))
    except _ObstacleError:
        return None


class _Compressed(NamedTuple):
    """The rows along one dim that were replaced, and the model in which they are."""

    part: CompressedRows
    model: pm.Model
    names_of_rows: frozenset[str]
    arrays: ContainerArrays


type _CompressDim = Callable[[pm.Model, str | None, SharedVariable | None], _Compressed]


def _compress_dims(
    model: pm.Model, weights: SharedVariable | None, compress: _CompressDim
) -> CompressedModel:
    """Return the model whose rows are compressed along each dim where that is possible.

    Raises
    ------
    _ObstacleError
        If it is along none.
    """
    if holds_minibatches(model):
        raise _ObstacleError("the model holds minibatches or generators")
    observed = {variable.name.removesuffix("_observed") for variable in model.observed_RVs}
    if imputed := sorted(imputed_names(model).intersection(observed)):
        raise _ObstacleError(f"missing values of {imputed[0]!r} are imputed, each by itself")
    found: list[_Compressed] = []
    left: dict[str, str] = {}
    of_distinct = model
    for dim, of_rows in _dims(model, weights):
        try:
            found.append(compress(of_distinct, dim, of_rows))
            of_distinct = found[-1].model
        except _ObstacleError as obstacle:
            left[dim or ""] = str(obstacle)
            if of_rows is not None:
                of_distinct = weighted_model(model, of_rows.name)
    if not found:
        named = [f"of {dim!r}, {reason}" for dim, reason in left.items()]
        raise _ObstacleError("; ".join(named if len(left) > 1 else left.values()))
    return CompressedModel(
        of_distinct,
        tuple(each.part for each in found),
        left,
        frozenset().union(*(each.names_of_rows for each in found)),
        {variable: values for each in found for variable, values in each.arrays.items()},
    )


def _dims(
    model: pm.Model, weights: SharedVariable | None
) -> list[tuple[str | None, SharedVariable | None]]:
    """Return the dims of rows, each with the weights of its rows; that with weights first.

    Without dims, rows are known by their number, and the dim is None.
    """
    dims = sorted({dim for dim in first_dims_of(model).values() if dim is not None})
    if len(dims) < 2 or weights is None:
        return [(dim, weights) for dim in dims] or [(None, weights)]
    of_weights = dims_of(model, weights)[0]
    return [(of_weights, weights), *((dim, None) for dim in dims if dim != of_weights)]


def _distinct_rows(
    model: pm.Model, dim: str | None, weights: SharedVariable | None, memory: int
) -> _Compressed:
    """Replace the rows along a dim by the distinct ones."""
    try:
        rows = find_rows(model, dim, guess=True)
        check_row_total_sizes(model, rows)
        _check_rows(rows, weights)
        rows = independent_rows(model, rows)
        _check_rows(rows, weights)
        if (name := taken_by_parameters(model, rows)) is not None:
            raise _ObstacleError(f"{name!r}, which has no rows, depends on their values")
        told = find_columns(model, rows, is_weighted=weights is not None)
        if not told.columns:
            raise _ObstacleError("its rows have no element")
        built = distinct_model(model, rows, told, weights, memory)
    except DensityError:
        raise
    except RepetitionError as error:
        raise _ObstacleError(
            f"{error.ratio}, and may take {memory / 2**30:.3g} GiB of memory; see by.compress"
        ) from None
    except FAILURES as error:
        raise _ObstacleError(first_line(error)) from None
    part = CompressedRows(
        rows.dim,
        rows.num_rows,
        built.num_distinct,
        tuple(told.outcomes),
        is_weighted=weights is not None,
    )
    return _Compressed(part, built.model, built.names_of_rows, built.arrays)


def _repeated_rows(
    model: pm.Model, dim: str | None, weights: SharedVariable | None, memory: int
) -> _Compressed:
    """Replace the rows along a dim by the distinct ones, where these are at most half of all."""
    try:
        rows = find_rows(model, dim)
    except ValueError:
        guessed = guess_rows(model, with_arrays=True)
        if guessed is None:
            raise _ObstacleError("nothing says which axes are rows") from None
        rows = guessed
    _check_rows(rows, weights)
    if rows.num_rows < LEAST_ROWS:
        raise _ObstacleError(f"there are {rows.num_rows:,} alone")
    if not find_columns(model, rows, is_weighted=weights is not None).repeat:
        raise _ObstacleError("few of them repeat")
    try:
        compressed = _distinct_rows(model, dim, weights, memory)
    except DensityError as error:
        reason, _, hint = str(error).partition("\n")
        warn(f"All rows are taken: {reason}\n{hint}")
        raise _ObstacleError("the log density of the distinct ones differs") from None
    if compressed.part.num_distinct > MOST_DISTINCT * compressed.part.num_rows:
        raise _ObstacleError("few of them repeat")
    return compressed


def _check_rows(rows: ModelRows, weights: SharedVariable | None) -> None:
    """Check that rows have values in memory, and no free variables.

    Raises
    ------
    _ObstacleError
        Names what is in the way.
    """
    if rows.latent:
        raise _ObstacleError(f"{rows.latent[0]!r} has a value for each row")
    for storage, _ in rows.storages.values():
        if is_sparse_variable(storage):
            raise _ObstacleError(f"{storage.name!r} is a sparse matrix")
        if window_of(storage) is not None:
            raise _ObstacleError(
                f"only a part of the rows of {storage.name!r} is in memory; see by.compress"
            )
    if weights is not None and len(weights.get_value(borrow=True)) != rows.num_rows:
        raise _ObstacleError(f"{weights.name!r} has no weight for each of the rows")
