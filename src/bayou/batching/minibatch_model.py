"""A model in minibatches, from the same model written with all of its data.

The containers that have a row for each entry of a dim are replaced by random rows of themselves,
all of the same rows, and what observes them is scaled to all of the rows. The shared variables stay
the same, and with them later changes of the data.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayou.arguments import whole_number
from bayou.batching.data_checks import check_imputed
from bayou.batching.row_dim import check_total_sizes, holds_batches, rows_by_length, rows_of
from bayou.batching.row_independence import HINT, check_joint, check_validity, is_valid
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.random_rows import NumRows, random_slice, step_variable
from bayou.containers.variables.source_variable import window_of
from bayou.density.build import compile_program
from bayou.density.program import LatentRows
from bayou.models.inputs import mark_rows
from bayou.models.rewrite import (
    VARIABLE_LISTS,
    model_graphs,
    rebuild_model,
    rebuild_variables,
    same_structure,
    structure_of,
)
from bayou.models.total_size import with_total_size
from bayou.sampling.axes import AxisSample
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.batching.row_dim import Rows
    from bayou.containers.variables.random_rows import StepVariable
    from bayou.density.program import Program

DEFAULT_SEED = 42
# The size of batches that are never drawn.
ALL_ROWS = 1


def batched(
    model: pm.Model,
    *,
    batch_size: int,
    batch_dim: str | None = None,
    random_seed: int = DEFAULT_SEED,
    validate: bool = True,
) -> pm.Model:
    """Return a model in minibatches of the rows of a model that is written with all of its data.

    Every container with the batched dim is replaced by random rows of it, the same rows in each of
    them; what is observed there is scaled to all rows, and so is a potential with a value a row.
    :func:`bayou.fit` does this by itself where it is given a `batch_size`; this function is for
    PyMC's own tools.

    Parameters
    ----------
    model : pymc.Model
        The model; it stays as it is. New data of it, by :func:`bayou.set_data`, are those of the
        model in minibatches too.
    batch_size : int
        Rows of a batch.
    batch_dim : str, optional
        The dim of the rows; by default the first dim of what is observed.
    random_seed : int, default 42
        Decides the rows.
    validate : bool, default True
        Whether to check that the likelihood of a row is the same whatever rows it comes with. Left
        out, a model of which that is not true is fitted to a wrong posterior.

    Returns
    -------
    pymc.Model
        With the same free variables.

    Raises
    ------
    ValueError
        If the dim is not known, if containers have other numbers of rows or a total_size other than
        theirs, or if the likelihood is not one of rows: names the variable and the reason.

    Warns
    -----
    UserWarning
        If the likelihood is not checked.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     x = by.Data("x", np.arange(1000.0), dims="row")
    ...     slope = pm.Normal("slope")
    ...     observed = pm.Normal("y", slope * x, 1, observed=np.arange(1000.0), dims="row")
    >>> by.batched(model, batch_size=10)["y"].shape.eval()
    array([10])
    """
    whole_number("batch_size", batch_size, 1, "it counts the rows of a batch.")
    check_imputed(model)
    rows = rows_of(model, batch_dim)
    check_total_sizes(model, rows)
    made = _batched_model(model, rows, int(batch_size), random_seed, apart=False)
    check_validity(made.model, compile_program(made.model), validate=validate, hint=made.hint)
    return _named(model, made)


def _known_or_guessed(model: pm.Model) -> Rows | None:
    try:
        return rows_of(model)
    except ValueError:
        return rows_by_length(model)


@dataclass(frozen=True, eq=False)
class Batched:
    """A model in minibatches.

    Attributes
    ----------
    model : pymc.Model
        For its density; without names and dims.
    rows : Rows
        What is replaced in it.
    slices : dict of str to TensorVariable
        The random rows, by the names of what holds them.
    latent : LatentRows or None
        The free variables with a value for each row.
    hint : str
        What to do where a batch cannot be evaluated.
    """

    model: pm.Model
    rows: Rows
    slices: Mapping[str, Any]
    latent: LatentRows | None
    hint: str


def batched_program(
    model: pm.Model, batch_size: int, batch_dim: str | None, *, validate: bool
) -> tuple[pm.Model, Program]:
    """Return a model that is written with all of its data in minibatches, and its program.

    Raises
    ------
    ValueError
        If there is no such dim, or the likelihood is not one of rows.
    """
    size = whole_number("batch_size", batch_size, 1, "it counts the rows of a batch.")
    rows = rows_of(model, batch_dim)
    _check_some(rows)
    check_total_sizes(model, rows)
    made = batched_model(model, rows, size, DEFAULT_SEED)
    batching = (size, rows.dim)
    program = compile_program(made.model, written=model, batching=batching, latent=made.latent)
    check_validity(made.model, program, validate=validate, hint=made.hint)
    return made.model, program


def program_of_rows(model: pm.Model) -> tuple[pm.Model, Program] | None:
    """Return the program of a model as one of rows, for all of them; None if it is none.

    Such a program goes through the rows in blocks, and other numbers of rows compile nothing.
    """
    rows = _known_or_guessed(model)
    if rows is None or rows.is_fixed or holds_batches(model):
        return None
    _check_some(rows)
    try:
        check_total_sizes(model, rows)
        made = batched_model(model, rows, ALL_ROWS, DEFAULT_SEED, whole=True)
    except (ValueError, TypeError, AssertionError):
        return None
    program = compile_program(made.model, feeds_all_rows=True, written=model)
    return (made.model, program) if is_valid(made.model, program) else None


def _check_some(rows: Rows) -> None:
    if not rows.num_rows:
        raise no_rows(rows.dim)


def no_rows(dim: str | None) -> ValueError:
    """Return what to say of data without rows along a dim, or their first axis."""
    along = repr(dim) if dim else "their first axis"
    return ValueError(
        f"The data must have at least one row, got none along {along}.\n"
        "Hint: check the filter that left nothing."
    )


_known: weakref.WeakKeyDictionary[pm.Model, dict[Any, tuple[tuple[Any, ...], Batched]]] = (
    weakref.WeakKeyDictionary()
)


def batched_model(
    model: pm.Model, rows: Rows, batch_size: int, random_seed: int, *, whole: bool = False
) -> Batched:
    """Return a model in minibatches; the same one until the model's structure changes.

    Where these stand for all rows (`whole`), it is another one than that of batches so small.
    """
    structure = structure_of(model)
    known = _known.setdefault(model, {})
    key = (rows.dim, batch_size, random_seed, rows.num_rows if rows.is_fixed else None, whole)
    if key not in known or not same_structure(known[key][0], structure):
        made = _batched_model(model, rows, batch_size, random_seed, apart=True)
        known[key] = (structure, made)
    return known[key][1]


def _batched_model(
    model: pm.Model, rows: Rows, batch_size: int, random_seed: int, *, apart: bool
) -> Batched:
    """Make a model in minibatches.

    Latent variables of rows are of the batch alone where they are kept `apart`; else the model has
    them whole, and takes those of the batch.
    """
    check_joint([model[name] for name in (*rows.observed, *rows.latent)])
    if len(rows.latent) == len(model.free_RVs):
        raise ValueError(
            "`batch_size` must be left out where all variables have a value for each row, got "
            f"{list(rows.latent)} alone.\n"
            "Hint: nothing ties the rows together; fit them all at once."
        )
    graphs = model_graphs(model)
    slices: dict[str, Any] = {}
    of_container: dict[int, Any] = {}
    step = step_variable(f"{rows.dim}_step")
    for storage, axis in rows.storages.values():
        sample = AxisSample(axis, batch_size, random_seed, 0)
        batch = random_slice(storage, step, [sample], [False] * storage.type.ndim)
        batch.name = storage.name
        of_container[id(storage.container)] = slices[storage.name] = batch
    first, axis = next(iter(rows.storages.values()))
    length = slices[first.name].shape[axis]
    resident = window_of(first)
    num_rows: Any = NumRows(axis)(first) if resident is None else pt.constant(resident.num_rows)

    lengths = {model.dim_lengths[rows.dim]: length} if rows.dim else {}
    replacements = lengths | {
        value: slices[held.name] for value, (held, _) in rows.storages.items()
    }
    replacements |= _clones([*graphs, *model.dim_lengths.values()], of_container)
    latent = _latent_rows(rows, step, batch_size, random_seed)
    if latent is not None and not apart:
        replacements |= {model[name]: model[name][latent.numbers] for name in latent.names}
    made = rebuild_variables(graphs, replacements)
    if latent is not None:
        for variable in (model[name] for name in latent.names):
            if apart:
                _put_apart(model, variable, made)
            else:
                del made[variable]
    _scale(model, rows, made, num_rows)
    hint = _hint(model, rows, graphs)
    return Batched(rebuild_model(model, made), rows, slices, latent, hint)


def _clones(graphs: Sequence[Variable], of_container: dict[int, Any]) -> dict[Variable, Any]:
    """Map shared variables by what holds their values: PyMC clones variables, not that."""
    return {
        variable: of_container[id(variable.container)]
        for variable in ancestors(graphs)
        if isinstance(variable, SharedVariable) and id(variable.container) in of_container
    }


def _scale(model: pm.Model, rows: Rows, made: dict[Any, Any], num_rows: Any) -> None:
    """Scale what observes a batch, and potentials with a value a row, to all rows."""
    for variable in model.observed_RVs:
        if variable.name in rows.observed:
            made[variable] = with_total_size(made.get(variable, variable), num_rows)
    for potential in model.potentials:
        anew = made.get(potential)
        if anew is not None and anew.type.ndim:
            made[potential] = anew * (num_rows / anew.shape[0]).astype(anew.dtype)
            mark_rows(made[potential])


def _latent_rows(
    rows: Rows, step: StepVariable, batch_size: int, random_seed: int
) -> LatentRows | None:
    """Return the latent variables of rows, and the numbers of those of a batch."""
    if not rows.latent:
        return None
    for storage, _ in rows.storages.values():
        if window_of(storage) is not None:
            raise ValueError(
                f"`batch_size` must be left out where {rows.latent[0]!r} has a value for each row "
                f"and a part of the rows is in memory, got {batch_size}.\n"
                "Hint: raise `in_memory_size`."
            )
    held = pytensor.shared(np.arange(rows.num_rows), name=f"{rows.dim}_number")
    numbers = random_slice(held, step, [AxisSample(0, batch_size, random_seed, 0)], [False])
    return LatentRows(rows.latent, numbers)


def _put_apart(model: pm.Model, variable: Any, made: dict[Any, Any]) -> None:
    """Have a latent variable of rows observed at values of the rows of a batch."""
    if variable not in made:
        raise ValueError(
            f"{variable.name!r} must have the length of its dim to be fitted in batches, got a "
            "length of its own.\nHint: leave `shape` out, and pass `dims` alone."
        )
    value = model.rvs_to_values[variable]
    made[value] = made[variable].type(name=value.name)


def _hint(model: pm.Model, rows: Rows, graphs: Sequence[Variable]) -> str:
    """Say what else seems to have rows, without the dim."""
    num_rows = rows.num_rows
    without = [
        variable.name
        for variable in (*model.data_vars, *model.basic_RVs)
        if rows.dim not in dims_of(model, variable)
        and variable.ndim
        and (num_rows in variable.type.shape or _first_length(variable) == num_rows)
    ]
    arrays = [
        variable
        for variable in ancestors(graphs)
        if isinstance(variable, Constant)
        and np.shape(variable.data)[:1] == (num_rows,)
        and variable not in rows.storages
    ]
    if without:
        return f"give {listed(without)} the dim {rows.dim!r}: `dims=`."
    if arrays:
        return f"put the array of {num_rows} rows into by.Data, with the dim {rows.dim!r}."
    return HINT


def _first_length(variable: Any) -> int | None:
    is_data = isinstance(variable, SharedVariable)
    return len(variable.get_value(borrow=True)) if is_data else None


def _named(model: pm.Model, batched: Batched) -> pm.Model:
    """Give a model in minibatches the names and dims of the one that it is made from."""
    made = batched.model
    dim = batched.rows.dim
    storage, axis = next(iter(batched.rows.storages.values()))
    for name, labels in model.coords.items():
        length = (
            batched.slices[storage.name].shape[axis] if name == dim else model.dim_lengths[name]
        )
        made.add_coord(name, None if name == dim else labels, length=length)
    for variable in model.data_vars:
        if variable.name not in batched.slices:
            made.register_data_var(variable, dims=model.named_vars_to_dims.get(variable.name))
    for kind in VARIABLE_LISTS:
        for variable in getattr(made, kind):
            made.add_named_variable(variable, model.named_vars_to_dims.get(variable.name))
    return made
