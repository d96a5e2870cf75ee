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
from pytensor.tensor.elemwise import Elemwise

from bayou.arguments import whole_number
from bayou.containers.dims import dims_of
from bayou.containers.generator import GeneratorOp
from bayou.containers.resident import streamed
from bayou.containers.rows import NumRows, SliceOp, random_slice, step_variable
from bayou.inference.program import compile_program, mark_rows
from bayou.inference.remake import (
    KINDS,
    graphs_of,
    is_scaled,
    made_anew,
    remade_model,
    same_structure,
    scale_at,
    scaled,
    structure_of,
)
from bayou.inference.validity import HINT, check_joint, check_validity, is_valid
from bayou.sampling.axes import AxisSample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.inference.program import Program

DEFAULT_SEED = 42
# The size of batches that are never drawn.
ALL_ROWS = 1


@dataclass(frozen=True)
class Rows:
    """What has a row for each entry of the batched dim.

    Attributes
    ----------
    dim : str
        The dim.
    storages : dict of variable to (SharedVariable, int)
        What is replaced, each with the container that holds its rows, and the axis that they are
        along.
    observed : tuple of str
        The observed variables whose first axis the dim is.
    latent : tuple of str
        The free variables whose first axis the dim is.
    """

    dim: str
    storages: Mapping[Any, tuple[SharedVariable, int]]
    observed: tuple[str, ...]
    latent: tuple[str, ...]

    @property
    def num_rows(self) -> int:
        """How many there are now."""
        return min(_length(*storage) for storage in self.storages.values())


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
    rows = rows_of(model, batch_dim)
    _check_total_sizes(model, rows)
    made = _batched_model(model, rows, int(batch_size), random_seed)
    check_validity(made.model, compile_program(made.model), validate=validate, hint=made.hint)
    return _named(model, made)


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
    hint : str
        What to do where a batch cannot be evaluated.
    """

    model: pm.Model
    rows: Rows
    slices: Mapping[str, Any]
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
    _check_total_sizes(model, rows)
    made = batched_model(model, rows, size, DEFAULT_SEED)
    program = compile_program(made.model, written=model, batching=(size, rows.dim))
    check_validity(made.model, program, validate=validate, hint=made.hint)
    return made.model, program


def program_of_rows(model: pm.Model) -> tuple[pm.Model, Program] | None:
    """Return the program of a model as one of rows, for all of them; None if it is none.

    Such a program goes through the rows in blocks, and other numbers of rows compile nothing.
    """
    try:
        rows = rows_of(model)
        _check_total_sizes(model, rows)
        made = batched_model(model, rows, ALL_ROWS, DEFAULT_SEED)
    except ValueError:
        return None
    program = compile_program(made.model, whole=True, written=model)
    return (made.model, program) if is_valid(made.model, program) else None


def holds_batches(model: pm.Model) -> bool:
    """Tell whether a model holds minibatches or generators itself."""
    return any(
        variable.owner is not None and isinstance(variable.owner.op, SliceOp | GeneratorOp)
        for variable in ancestors(graphs_of(model))
    )


_known: weakref.WeakKeyDictionary[pm.Model, dict[Any, tuple[tuple[Any, ...], Batched]]] = (
    weakref.WeakKeyDictionary()
)


def batched_model(model: pm.Model, rows: Rows, batch_size: int, random_seed: int) -> Batched:
    """Return a model in minibatches; the same one until the model's structure changes."""
    structure = structure_of(model)
    known = _known.setdefault(model, {})
    key = (rows.dim, batch_size, random_seed)
    if key not in known or not same_structure(known[key][0], structure):
        known[key] = (structure, _batched_model(model, rows, batch_size, random_seed))
    return known[key][1]


def rows_of(model: pm.Model, batch_dim: str | None = None) -> Rows:
    """Find what has a row for each entry of the batched dim.

    Parameters
    ----------
    model : pymc.Model
        A model that is written with all of its data.
    batch_dim : str, optional
        The dim; by default the first one of what is observed.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        If there is no such dim, or more than one, or what has it differs in the number of rows.
    """
    if holds_batches(model):
        raise ValueError(
            "`batch_size` must be left out where the model holds minibatches or generators itself."
            "\nHint: write the model with by.Data."
        )
    leading = {variable.name: _leading_dim(model, variable) for variable in model.observed_RVs}
    dim = _dim(model, leading, batch_dim)
    storages: dict[Any, tuple[SharedVariable, int]] = {}
    for variable in model.data_vars:
        if dim in (dims := dims_of(model, variable)):
            storages[variable] = (variable, dims.index(dim))
    observed = [variable for variable in model.observed_RVs if leading[variable.name] == dim]
    for variable in observed:
        value = _uncast(model.rvs_to_values[variable])
        if isinstance(value, Constant):
            storages[value] = (pytensor.shared(value.data, name=variable.name), 0)
        elif isinstance(value, SharedVariable):
            storages.setdefault(value, (value, 0))
    lengths = {storage.name: _length(storage, axis) for storage, axis in storages.values()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Containers that share the dim {dim!r} must have one number of rows, got {lengths}.\n"
            "Hint: change them together, by.set_data({...})."
        )
    latent = [
        variable.name for variable in model.free_RVs if dims_of(model, variable)[:1] == (dim,)
    ]
    names = tuple(variable.name for variable in observed)
    return Rows(dim, storages, names, tuple(latent))


def _dim(model: pm.Model, leading: Mapping[str, str | None], batch_dim: str | None) -> str:
    known = {dim for dim in leading.values() if dim is not None}
    if batch_dim is None and len(known) == 1:
        return known.pop()
    if batch_dim is not None and batch_dim in known:
        return batch_dim
    if not known:
        raise ValueError(
            "`batch_size` must be of rows that have a dim, got no first dim of what is observed, "
            f"{sorted(leading)}.\n"
            'Hint: name the rows: by.Data("y", values, dims="row"), and so all that has a row each.'
        )
    got = "none" if batch_dim is None else repr(batch_dim)
    raise ValueError(
        f"`batch_dim` must be the first dim of what is observed, one of {sorted(known)}, got {got}."
        "\nHint: the rows of that dim are drawn in batches, the others are taken whole."
    )


def _leading_dim(model: pm.Model, variable: Any) -> str | None:
    """Return the first dim of an observed variable, or of the container that it is observed at."""
    value = _uncast(model.rvs_to_values[variable])
    for named in (variable, value):
        dims = dims_of(model, named)[:1]
        if dims and dims[0] is not None:
            return dims[0]
    return None


def _uncast(variable: Any) -> Any:
    while variable.owner is not None and isinstance(variable.owner.op, Elemwise):
        variable = variable.owner.inputs[0]
    return variable


def _length(storage: SharedVariable, axis: int) -> int:
    resident = streamed(storage)
    length: int = storage.get_value(borrow=True).shape[axis]
    return length if resident is None else resident.num_rows


def _check_total_sizes(model: pm.Model, rows: Rows) -> None:
    """Refuse a total_size that the rows contradict."""
    num_rows = rows.num_rows
    for variable in model.observed_RVs:
        if variable.name not in rows.observed or not is_scaled(variable):
            continue
        value = model.rvs_to_values[variable]
        storage, axis = rows.storages[_uncast(value)]
        held = storage.get_value(borrow=True).shape[axis]
        total = scale_at(variable, value.shape) * held
        if not np.isclose(total, num_rows, rtol=1e-9):
            raise ValueError(
                f"`total_size` of {variable.name!r} must be the number of its rows, {num_rows}, "
                f"got {total:.0f}.\nHint: leave it out; the rows are counted."
            )


def _batched_model(model: pm.Model, rows: Rows, batch_size: int, random_seed: int) -> Batched:
    check_joint([model[name] for name in (*rows.observed, *rows.latent)])
    graphs = graphs_of(model)
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
    resident = streamed(first)
    num_rows: Any = NumRows(axis)(first) if resident is None else pt.constant(resident.num_rows)

    replacements: dict[Any, Any] = {model.dim_lengths[rows.dim]: length}
    replacements |= {value: slices[held.name] for value, (held, _) in rows.storages.items()}
    for variable in ancestors([*graphs, *model.dim_lengths.values()]):
        # PyMC clones shared variables, not what holds their values.
        if isinstance(variable, SharedVariable) and id(variable.container) in of_container:
            replacements[variable] = of_container[id(variable.container)]
    made = made_anew(graphs, replacements)
    for variable in model.observed_RVs:
        if variable.name in rows.observed:
            made[variable] = scaled(made.get(variable, variable), num_rows)
    for potential in model.potentials:
        anew = made.get(potential)
        if anew is not None and anew.type.ndim:
            made[potential] = anew * (num_rows / anew.shape[0]).astype(anew.dtype)
            mark_rows(made[potential])
    return Batched(remade_model(model, made), rows, slices, _hint(model, rows, graphs))


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
        return f"give {', '.join(map(repr, without))} the dim {rows.dim!r}: `dims=`."
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
    for kind in KINDS:
        for variable in getattr(made, kind):
            made.add_named_variable(variable, model.named_vars_to_dims.get(variable.name))
    return made
