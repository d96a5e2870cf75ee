"""The public description of a model: its data containers, their columns, rows and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.tensor.type_other import NoneConst

from bayou.containers.reading.columns import columns_of
from bayou.containers.variables.dims import dims_of, evaluate_length
from bayou.containers.variables.source_variable import resident_of
from bayou.models.interpret import compile_interpreter
from bayou.models.plain.plain_model import read_model
from bayou.models.scaling.total_size import has_total_size
from bayou.models.whole_number_overflow import warn_of_overflow
from bayou.provenance.describe_result import Description
from bayou.provenance.fingerprint import array_fingerprint
from bayou.provenance.named_inputs import key_of, model_inputs, names_of, parents_of, variables_of
from bayou.provenance.summaries import ContainerSummary, VariableSummary

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.containers.context import ModelLike
    from bayou.containers.variables.dims import Numbers
    from bayou.containers.variables.resident_rows import Resident
    from bayou.provenance.named_inputs import ModelInput


def describe(model: ModelLike | None = None) -> Description:
    """Describe the data of a model: its containers, their columns, rows and values.

    The containers are those of :class:`bayou.Data` and ``pm.Data``, minibatches, generators, and
    arrays that were passed to ``observed=`` directly. Nothing is compiled, no item is taken from a
    generator and no source is read. The call takes one pass over the values in memory, to compute
    their fingerprints (hashes).

    Parameters
    ----------
    model : pymc.Model, model of a library, or Fit, optional
        The model; by default the model of the context. For a fit, the model of the fit is
        described, with the number of distinct rows if these replaced all rows in the fit.

    Returns
    -------
    Description
        Prints as a table, also in a notebook. ``to_frame()`` returns the containers as a data
        frame, and ``diagram()`` shows which of them each variable depends on.

    Raises
    ------
    TypeError
        If there is no model.

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
    # A fit, which is described by its model, says how its rows were fitted.
    compression = getattr(model, "compression", None)
    model = read_model(model)
    warn_of_overflow(model)
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
    for data in inputs:
        data_keys = {key_of(data.variable), key_of(data.storage)}
        feeds = (variable.name for variable, keys in parents.items() if data_keys & set(keys))
        containers.append(_summary(model, data, tuple(feeds)))
    return Description(tuple(containers), variables, compression)


def _summary(model: pm.Model, data: ModelInput, feeds: tuple[str, ...]) -> ContainerSummary:
    values = current_values(data.storage)
    resident = resident_of(data.storage)
    columns = columns_of(data.storage)
    names = None if resident is None else resident.column.names
    rows = values.shape[0] if values.ndim and data.role != "generator" else None
    dims = _dims(model, data)
    return ContainerSummary(
        name=data.name,
        role=data.role,
        columns=names if columns is None else columns.names,
        categories=None if columns is None else columns.categories,
        dims=dims,
        coords={
            dim: tuple(model.coords[dim])
            for dim in dims
            if dim is not None and model.coords.get(dim) is not None
        },
        shape=_shape(data, values.shape),
        dtype=str(data.variable.type.dtype),
        source=_source(data, resident),
        num_rows=rows if resident is None else resident.num_rows,
        num_in_memory=rows,
        num_dropped=0 if columns is None else columns.num_dropped,
        total_size=_total_size(model, data),
        fingerprint=None
        if resident is not None and not resident.is_complete
        else array_fingerprint(values),
        observed_by=data.observed_by,
        feeds=feeds,
    )


def current_values(storage: Variable) -> Numbers | scipy.sparse.spmatrix:
    """Return the values in memory of a data container; of a generator, its first item.

    They are an array, or a sparse matrix.
    """
    if isinstance(storage, SharedVariable | Constant):
        is_shared = isinstance(storage, SharedVariable)
        values = storage.get_value(borrow=True) if is_shared else storage.data
        return values if scipy.sparse.issparse(values) else np.asanyarray(values)
    # A pm.Minibatch may be of an expression, such as pm.Minibatch(2 * x).
    return np.asarray(compile_interpreter([], [storage])()[0])


def _kind(model: pm.Model, variable: Variable) -> str:
    kinds = ("free", "observed", "deterministic", "potential")
    groups = (model.free_RVs, model.observed_RVs, model.deterministics, model.potentials)
    return next(kind for kind, group in zip(kinds, groups, strict=True) if variable in group)


def _dims(model: pm.Model, data: ModelInput) -> tuple[str | None, ...]:
    """Return the dims of a container, or of its observed variable if that has as many axes."""
    dims = dims_of(model, data.storage)
    if data.storage in model.data_vars or not data.observed_by:
        return dims
    observed_dims = dims_of(model, model[data.observed_by[0]])
    return observed_dims if len(observed_dims) == len(dims) else dims


def _shape(data: ModelInput, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that the model sees: of a minibatch, that of one batch."""
    lengths = list(shape)
    if data.role == "minibatch":
        static = data.variable.type.shape
        lengths = [known or length for known, length in zip(static, shape, strict=True)]
        for sample in getattr(data.variable.owner.op, "samples", ()):
            lengths[sample.axis] = sample.size
    return tuple(lengths)


def _source(data: ModelInput, resident: Resident | None) -> str:
    columns = columns_of(data.storage)
    if columns is not None:
        return columns.source
    if data.role == "generator":
        return type(data.variable.owner.op.adapter.generator).__name__
    if resident is not None:
        return type(resident.column.source).__name__
    return "array" if isinstance(data.storage, SharedVariable) else "constant"


def _total_size(model: pm.Model, data: ModelInput) -> int | tuple[int | None, ...] | None:
    if not data.observed_by:
        return None
    observed = model[data.observed_by[0]]
    if not has_total_size(observed):
        return None
    first, *rest = map(_axis_size, observed.owner.inputs[1:])
    return first if not any(rest) else (first, *rest)


def _axis_size(size: Variable) -> int | None:
    if NoneConst.equals(size):
        return None
    return int(size.data) if isinstance(size, Constant) else evaluate_length(size, {})
