"""What a model is fed with and what it makes of that: its containers, their rows and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.tensor.type_other import NoneConst

from bayou.containers.reading.column_reader import columns_of
from bayou.containers.variables.dims import dims_of, evaluate_length
from bayou.containers.variables.source_variable import resident_of
from bayou.models.initial_point import interpreted
from bayou.models.rewrite import is_scaled
from bayou.provenance.description import ContainerSummary, Description, VariableSummary
from bayou.provenance.fingerprint import array_fingerprint
from bayou.provenance.named_inputs import key_of, model_inputs, names_of, parents_of, variables_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.resident_rows import Resident
    from bayou.provenance.named_inputs import ModelInput


def describe(model: pm.Model) -> Description:
    """Describe what a model is fed with: its containers, their columns, rows and values.

    Listed are the data containers, of PyMC too, minibatches, generators, and arrays that are
    observed as they are. Nothing is compiled, and no generator is advanced. It costs a pass over
    the values in memory, for their fingerprints; sources are not read.

    Parameters
    ----------
    model : pymc.Model
        The model.

    Returns
    -------
    Description
        Prints as a table, also in a notebook; ``to_frame()`` has all of it, and ``diagram()``
        shows what feeds what.

    Raises
    ------
    TypeError
        If ``model`` is no model.

    Examples
    --------
    >>> flights = {"distance": [0.2, 1.4], "hour": [6.0, 20.0], "late": [False, True]}
    >>> with pm.Model() as model:
    ...     x = by.Data("x", flights, columns=["distance", "hour"], dims=("flight", "feature"))
    ...     late = by.Data("late", flights, columns="late", dims="flight")
    ...     b = pm.Normal("b", dims="feature")
    ...     obs = pm.Bernoulli("obs", logit_p=x @ b, observed=late, dims="flight")
    >>> description = by.describe(model)
    >>> description.to_frame()[["role", "columns", "shape", "dtype"]]
              role           columns   shape    dtype
    name
    x        input  (distance, hour)  (2, 2)  float64
    late  observed           (late,)    (2,)     bool
    >>> print(description.diagram())
    x     input
    late  observed
    b     free
    obs   observed  <- x, b  observes late
    """
    if not isinstance(model, pm.Model):
        raise TypeError(
            f"`model` must be a PyMC model, got a {type(model).__name__}.\n"
            "Hint: pass the model itself, as in by.describe(model)."
        )
    inputs = model_inputs(model)
    names = names_of(model, inputs)
    parents = {variable: list(parents_of(variable, names)) for variable in variables_of(model)}
    variables = tuple(
        VariableSummary(
            name=variable.name,
            kind=_kind(model, variable),
            dims=dims_of(model, variable),
            parents=tuple(dict.fromkeys(names[key] for key in keys)),
        )
        for variable, keys in parents.items()
    )
    containers = []
    for found in inputs:
        own = {key_of(found.variable), key_of(found.storage)}
        feeds = (variable.name for variable, keys in parents.items() if own & set(keys))
        containers.append(_summary(model, found, tuple(feeds)))
    return Description(tuple(containers), variables)


def _summary(model: pm.Model, found: ModelInput, feeds: tuple[str, ...]) -> ContainerSummary:
    values = held_values(found.storage)
    resident = resident_of(found.storage)
    columns = columns_of(found.storage)
    names = None if resident is None else resident.column.names
    rows = values.shape[0] if values.ndim and found.role != "generator" else None
    dims = _dims(model, found)
    return ContainerSummary(
        name=found.name,
        role=found.role,
        columns=names if columns is None else columns.names,
        categories=None if columns is None else columns.categories,
        dims=dims,
        coords={
            dim: tuple(model.coords[dim])
            for dim in dims
            if dim is not None and model.coords.get(dim) is not None
        },
        shape=_shape(found, values.shape),
        dtype=str(found.variable.type.dtype),
        source=_source(found, resident),
        num_rows=rows if resident is None else resident.num_rows,
        num_in_memory=rows,
        num_dropped=0 if columns is None else columns.num_dropped,
        total_size=_total_size(model, found),
        fingerprint=None
        if resident is not None and not resident.is_complete
        else array_fingerprint(values),
        observed_by=found.observed_by,
        feeds=feeds,
    )


def held_values(storage: Variable) -> NDArray[Any]:
    """Return what is in memory of what feeds a model; of a generator, the first item."""
    if isinstance(storage, SharedVariable):
        return np.asanyarray(storage.get_value(borrow=True))
    if isinstance(storage, Constant):
        return np.asanyarray(storage.data)
    # Of a pm.Minibatch it may be an expression.
    return np.asarray(interpreted([], [storage])()[0])


def _kind(model: pm.Model, variable: Variable) -> str:
    kinds = ("free", "observed", "deterministic", "potential")
    groups = (model.free_RVs, model.observed_RVs, model.deterministics, model.potentials)
    return next(kind for kind, group in zip(kinds, groups, strict=True) if variable in group)


def _dims(model: pm.Model, found: ModelInput) -> tuple[str | None, ...]:
    """Return the dims of a container; else those of what observes it, if it has the same axes."""
    own = dims_of(model, found.storage)
    if found.storage in model.data_vars or not found.observed_by:
        return own
    dims = dims_of(model, model[found.observed_by[0]])
    return dims if len(dims) == len(own) else own


def _shape(found: ModelInput, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what the model sees: of a minibatch, that of a batch."""
    lengths = list(shape)
    if found.role == "minibatch":
        static = found.variable.type.shape
        lengths = [known or length for known, length in zip(static, shape, strict=True)]
        for sample in getattr(found.variable.owner.op, "samples", ()):
            lengths[sample.axis] = sample.size
    return tuple(lengths)


def _source(found: ModelInput, resident: Resident | None) -> str:
    columns = columns_of(found.storage)
    if columns is not None:
        return columns.source
    if found.role == "generator":
        return type(found.variable.owner.op.adapter.generator).__name__
    if resident is not None:
        return type(resident.column.source).__name__
    return "array" if isinstance(found.storage, SharedVariable) else "constant"


def _total_size(model: pm.Model, found: ModelInput) -> int | tuple[int | None, ...] | None:
    if not found.observed_by:
        return None
    observer = model[found.observed_by[0]]
    if not is_scaled(observer):
        return None
    first, *rest = map(_size, observer.owner.inputs[1:])
    return first if not any(rest) else (first, *rest)


def _size(size: Variable) -> int | None:
    if NoneConst.equals(size):
        return None
    return int(size.data) if isinstance(size, Constant) else evaluate_length(size, {})
