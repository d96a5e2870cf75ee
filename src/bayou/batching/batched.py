"""Models in minibatches: with their names for PyMC's own tools, and as programs for fits."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bayou.arguments import whole_number
from bayou.batching.minibatch_model import add_names, build_minibatch_model
from bayou.batching.row_arrays import row_choices
from bayou.batching.row_dim import (
    find_rows,
    guess_rows,
    holds_minibatches,
    no_rows_error,
)
from bayou.batching.row_independence import (
    Dependence,
    DependenceError,
    check_row_independence,
    rows_are_independent,
    warn_unchecked,
)
from bayou.batching.row_terms import FAILURES, first_line
from bayou.batching.total_size_checks import check_row_total_sizes
from bayou.density.build import check_free_variables, compile_program
from bayou.density.unsupported import UnsupportedError
from bayou.models.plain.first_axis import with_dim_first
from bayou.models.rewrite import same_structure, structure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.batching.minibatch_model import MinibatchModel
    from bayou.batching.row_dim import ModelRows
    from bayou.density.program import LatentRows, Program
    from bayou.models.rewrite import Structure

DEFAULT_SEED = 42
# The batch size in a program that is fed all rows at once: no batch is ever drawn from it.
UNUSED_SIZE = 1


def minibatch_model(
    model: pm.Model, batch_size: int, batch_dim: str | None, seed: int, *, validate: bool
) -> pm.Model:
    """Return a copy of a model that is evaluated on minibatches of its rows, with its names.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors, written with all of its data.
    batch_size : int
        Rows of a batch.
    batch_dim : str or None
        The dim of the rows; None for the first dim of what is observed.
    seed : int
        Seed of the rows of each batch.
    validate : bool
        False to warn that the likelihood is not checked.

    Raises
    ------
    ValueError
        If there is no such dim, or the likelihood is not a product over rows.
    """
    check_free_variables(model)
    model = with_dim_first(model, batch_dim)
    rows = find_rows(model, batch_dim, guess=True)
    check_row_total_sizes(model, rows)

    def build(rows: ModelRows) -> Batches:
        built = build_minibatch_model(model, rows, batch_size, seed, latent_inputs=False)
        return Batches(built, _compiled(built))

    if validate:
        return add_names(model, _independent_batches(model, rows, build).minibatch_model)
    warn_unchecked()
    return add_names(model, build(rows).minibatch_model)


def batched_program(
    model: pm.Model, batch_size: int, batch_dim: str | None, *, validate: bool
) -> tuple[pm.Model, Program]:
    """Return a model that is written with all of its data in minibatches, and its program.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written.
    batch_size : int
        Rows of a batch.
    batch_dim : str or None
        The dim of the rows; None for the first dim of what is observed.
    validate : bool
        False to warn that the likelihood is not checked.

    Raises
    ------
    ValueError
        If there is no such dim, or the likelihood is not a product over rows.
    """
    size = whole_number("batch_size", batch_size, 1, "it counts the rows of a batch.")
    check_free_variables(model)
    of_rows = with_dim_first(model, batch_dim)
    rows = find_rows(of_rows, batch_dim, guess=True)
    _check_some_rows(rows)
    check_row_total_sizes(of_rows, rows)
    build = partial(_batches, of_rows, size, model)
    if validate:
        batches = _independent_batches(of_rows, rows, build)
    else:
        warn_unchecked()
        batches = build(rows)
    return batches.minibatch_model.model, batches.program


def rebuild_program(model: pm.Model, batching: tuple[int, str] | None) -> Program:
    """Return the program of a model that was fitted before, without another check of its rows.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written.
    batching : tuple of int and str, or None
        The batch size and the batched dim of the fit, if it had a `batch_size`.
    """
    if batching is None:
        return compile_program(model)
    size, dim = batching
    of_rows = with_dim_first(model, dim)
    # The rows of a fit without dims have an empty one.
    rows = find_rows(of_rows, dim or None, guess=True)
    _check_some_rows(rows)
    build = partial(_batches, of_rows, size, model)
    try:
        return _independent_batches(of_rows, rows, build).program
    except ValueError:
        # The user had it fitted without the check.
        return build(rows).program


class Batches(NamedTuple):
    """A model in minibatches, and its program."""

    minibatch_model: MinibatchModel
    program: Program


def _independent_batches(
    model: pm.Model, rows: ModelRows, build: Callable[[ModelRows], Batches]
) -> Batches:
    """Return a model in minibatches whose likelihood is one of rows.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written.
    rows : ModelRows
        The parts that are known to have an entry for each row. If they are not all that do, what
        else may is found by its length.
    build : callable
        Rows -> the model in minibatches of them.

    Raises
    ------
    ValueError
        If the likelihood is no product over rows.
    """
    refusals: list[DependenceError] = []
    for choice in chain([rows], row_choices(model, rows)):
        try:
            batches = build(choice)
            check_row_independence(
                batches.minibatch_model.model,
                batches.program,
                hint=batches.minibatch_model.hint,
            )
        except DependenceError as refusal:
            refusals.append(refusal)
        else:
            return batches
    known, *others = refusals
    # Where arrays are rows, the model cannot be evaluated without them.
    raise others[0] if others and not known.is_evaluated else known


def _batches(model: pm.Model, batch_size: int, written: pm.Model, rows: ModelRows) -> Batches:
    minibatch_model = _cached_model(model, rows, batch_size, DEFAULT_SEED)
    program = _compiled(
        minibatch_model,
        written=written,
        batching=(batch_size, rows.dim),
        latent=minibatch_model.latent,
    )
    return Batches(minibatch_model, program)


def _compiled(
    minibatch_model: MinibatchModel,
    *,
    written: pm.Model | None = None,
    batching: tuple[int, str] | None = None,
    latent: LatentRows | None = None,
) -> Program:
    """Return the program of a model in minibatches; where it has none, say so as the check does."""
    try:
        return compile_program(
            minibatch_model.model, written=written, batching=batching, latent=latent
        )
    except UnsupportedError:
        # All rows may work where a batch does not: what a mask takes of it has no known length.
        compile_program(written or minibatch_model.model)
        reason = "JAX cannot compile it for a part of the rows, of which it takes some by a mask"
        raise Dependence(reason, is_evaluated=False).error() from None
    except FAILURES as error:
        if "\nHint: " in str(error):
            raise
        # A variable has the number of all rows as its shape.
        reason = f"the model cannot be evaluated on a part of its rows ({first_line(error)})"
        raise Dependence(reason, minibatch_model.hint, is_evaluated=False).error() from None


def program_of_rows(model: pm.Model) -> tuple[pm.Model, Program] | None:
    """Return a model as a program of rows that is fed all of them, and the model it is of.

    Such a program goes through the rows in blocks, and other numbers of rows compile nothing.

    Returns
    -------
    tuple of pymc.Model and Program, or None
        None if the likelihood is not known to be a product over rows.
    """
    rows = _known_or_guessed_rows(model)
    if rows is None or rows.has_fixed_number or holds_minibatches(model):
        return None
    _check_some_rows(rows)
    try:
        check_row_total_sizes(model, rows)
        minibatch_model = _cached_model(model, rows, UNUSED_SIZE, DEFAULT_SEED, feeds_all_rows=True)
    except (ValueError, TypeError, AssertionError):
        # Graphs whose lengths do not follow their inputs are refused by PyMC or PyTensor.
        return None
    try:
        program = compile_program(minibatch_model.model, feeds_all_rows=True, written=model)
    except UnsupportedError:
        return None
    if not rows_are_independent(minibatch_model.model, program):
        return None
    return minibatch_model.model, program


def independent_rows(model: pm.Model, rows: ModelRows) -> ModelRows:
    """Return the parts of a model with an entry for each row, if its likelihood is one of rows.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written.
    rows : ModelRows
        The parts that are known to have an entry for each row; what else may is found.

    Raises
    ------
    ValueError
        If the likelihood is no product over rows.
    """
    _check_some_rows(rows)
    build = partial(_batches, model, UNUSED_SIZE, model)
    return _independent_batches(model, rows, build).minibatch_model.rows


def _known_or_guessed_rows(model: pm.Model) -> ModelRows | None:
    try:
        return find_rows(model)
    except ValueError:
        return guess_rows(model)


def _check_some_rows(rows: ModelRows) -> None:
    if not rows.num_rows:
        raise no_rows_error(rows.dim)


@dataclass(frozen=True)
class _Options:
    """All that a model in minibatches depends on besides the written model."""

    dim: str
    batch_size: int
    seed: int
    # The number of rows, if the model in minibatches is built for it.
    num_rows: int | None
    # The model of all rows is another one than that of batches of one row.
    feeds_all_rows: bool
    # The variables that are read as rows, each with their axis.
    storages: frozenset[tuple[Variable, int]]


type _Known = dict[_Options, tuple[Structure, MinibatchModel]]

# By written model, with what that was made of then.
_minibatch_models: weakref.WeakKeyDictionary[pm.Model, _Known] = weakref.WeakKeyDictionary()


def _cached_model(
    model: pm.Model, rows: ModelRows, batch_size: int, seed: int, *, feeds_all_rows: bool = False
) -> MinibatchModel:
    """Return a model in minibatches; the same one until the written model's structure changes."""
    structure = structure_of(model)
    known = _minibatch_models.setdefault(model, {})
    num_rows = rows.num_rows if rows.has_fixed_number else None
    storages = frozenset((variable, axis) for variable, (_, axis) in rows.storages.items())
    options = _Options(rows.dim, batch_size, seed, num_rows, feeds_all_rows, storages)
    if options not in known or not same_structure(known[options][0], structure):
        minibatch_model = build_minibatch_model(model, rows, batch_size, seed, latent_inputs=True)
        known[options] = (structure, minibatch_model)
    return known[options][1]
