"""The dims of a PyMC model: their lengths, their labels, and how both change.

All that PyMC keeps of dims and offers no public way to change is used in this file alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
import pytensor
from pymc.exceptions import ShapeError
from pymc.model.fgraph import ModelVar
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, graph_inputs

from bayou.containers.variables.named_dims import lowered
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.link.basic import Container
    from pytensor.tensor.variable import TensorVariable

type Dims = tuple[str | None, ...]
"""The dim of each axis, None for an axis without one."""
type Labels = tuple[Hashable, ...]
"""The labels of a dim, as a model keeps them."""
type Numbers = NDArray[np.number | np.bool_]
"""Numbers or booleans, as containers hold them."""
type ContainerArrays = dict[SharedVariable, Numbers]
"""Values by the shared variables that hold them."""


class LabelsLike(Protocol):
    """Labels of a dim as a user passes them: a sequence, an array or an index."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> object: ...
    def __iter__(self) -> Iterator[Hashable]: ...


type LengthFunction = tuple[Callable[..., NDArray[np.int64]], list[Container]]

# Without rewrites and a compiler, PyTensor builds such a function in milliseconds, not seconds.
_WITHOUT_COMPILING = Mode(linker="py", optimizer=None)


def dims_of(model: pm.Model, variable: Variable) -> Dims:
    """Return the dim of each axis of a variable, None for an axis without one."""
    dims = model.root.named_vars_to_dims.get(variable.name)
    return (None,) * variable.type.ndim if dims is None else tuple(dims)


def read_labels(labels: LabelsLike, argument: str) -> Labels:
    """Return labels as the tuple that a model keeps.

    Parameters
    ----------
    labels : sequence, pandas.Index, ndarray or xarray.DataArray
        One label for each entry along the dim.
    argument : str
        The argument that they came from, as the subject of errors.

    Raises
    ------
    TypeError
        If they are no sequence.
    ValueError
        If they have several levels, which no ArviZ result can hold.
    """
    is_sequence = hasattr(labels, "__len__") and hasattr(labels, "__getitem__")
    if not is_sequence or isinstance(labels, str | bytes | Mapping):
        raise TypeError(
            f"{argument} must be a sequence of labels, got {labels!r}.\n"
            "Hint: pass a list, an array or an index."
        )
    if isinstance(labels, pd.Index):
        labels = labels.tolist()
    # An xarray.DataArray iterates over arrays without axes, its array over the labels themselves.
    items = tuple(np.asarray(labels) if hasattr(labels, "__array__") else labels)
    if any(isinstance(item, tuple | list | np.ndarray) for item in items):
        raise ValueError(
            f"{argument} must have one level, got labels such as {items[0]!r}.\n"
            "Hint: join the levels, as in `index.map(lambda levels: '/'.join(map(str, levels)))`."
        )
    return items


def read_coords(coords: Mapping[str, LabelsLike] | None) -> dict[str, Labels]:
    """Return the labels of each dim in the argument `coords`."""
    if coords is not None and not isinstance(coords, Mapping):
        raise TypeError(
            f"`coords` must map dims to labels, got {type_text(coords)}.\n"
            "Hint: write `coords={'row': labels}`."
        )
    return {
        dim: read_labels(labels, f"`coords[{dim!r}]`") for dim, labels in (coords or {}).items()
    }


def labels_by_dim(dims: Dims, labels_by_axis: Iterable[Labels | None]) -> dict[str, Labels]:
    """Return the labels of each axis by its dim, for the axes that have both."""
    pairs = zip(dims, labels_by_axis, strict=True)
    return {dim: labels for dim, labels in pairs if dim is not None and labels is not None}


def check_same_labels(dim: str, labels: Labels, other_labels: Labels) -> None:
    """Check that two sets of labels of one dim, of one length, are the same.

    Raises
    ------
    ValueError
        At the first position at which they differ; NaN is the same as NaN.
    """
    for position, (label, other) in enumerate(zip(labels, other_labels, strict=True)):
        both_nan = label != label and other != other
        if label != other and not both_nan:
            raise ValueError(
                f"The dim {dim!r} must have one set of labels, got {label!r} and {other!r} at "
                f"position {position}.\nHint: align the values first, or use another dim."
            )


def length_of(model: pm.Model, dim: str) -> TensorVariable:
    """Return the length of a dim, as an expression of the model's own containers."""
    length = model.dim_lengths[dim]
    # In a copy of a model, PyMC leaves the lengths of dims tied to the original's containers.
    counterparts = {
        variable: model.root.named_vars.get(variable.name, variable)
        for variable in graph_inputs([length])
        if isinstance(variable, SharedVariable)
    }
    # pm.do leaves there what marks the variables of a model while it is being copied.
    counterparts |= {
        variable: model.root.named_vars.get(variable.name, variable.owner.inputs[0])
        for variable in ancestors([length])
        if variable.owner is not None and isinstance(variable.owner.op, ModelVar)
    }
    foreign = {v: copied for v, copied in counterparts.items() if copied is not v}
    return clone_replace(length, foreign) if foreign else length


def evaluate_length(length: TensorVariable, arrays: ContainerArrays) -> int:
    """Return the value that a length has once shared variables hold these arrays.

    Parameters
    ----------
    length : TensorVariable
        A scalar that depends on shared variables alone.
    arrays : dict of SharedVariable to ndarray
        Values of some of these; the others keep theirs.
    """
    if isinstance(length, Constant):
        return int(length.data)
    if length not in _length_functions:
        _length_functions[length] = _length_function(length)
    function, containers = _length_functions[length]
    # By PyTensor's container of the value, since clones of a variable share it.
    new_values = {shared.container: array for shared, array in arrays.items()}
    return int(
        function(*(new_values.get(container, container.storage[0]) for container in containers))
    )


def _length_function(length: TensorVariable) -> LengthFunction:
    """Return a function of shared variables' values to a length, and their containers."""
    [length] = lowered([length])
    shared = [leaf for leaf in graph_inputs([length]) if isinstance(leaf, SharedVariable)]
    inputs = [leaf.type() for leaf in shared]
    [graph] = clone_replace([length], dict(zip(shared, inputs, strict=True)))
    function = pytensor.function(inputs, graph, mode=_WITHOUT_COMPILING)
    return function, [leaf.container for leaf in shared]


# Milliseconds to make a function, microseconds to call it.
_length_functions: weakref.WeakKeyDictionary[TensorVariable, LengthFunction] = (
    weakref.WeakKeyDictionary()
)


def resized_lengths(
    model: pm.Model, arrays: ContainerArrays, new_lengths: Mapping[str, int]
) -> dict[str, TensorVariable]:
    """Return the length expressions of dims that get new lengths.

    Parameters
    ----------
    model : pymc.Model
        The model that has the dims.
    arrays : dict of SharedVariable to ndarray
        The new values of containers. Lengths that are shared variables of their own are added.
    new_lengths : mapping of str to int
        The new length of each dim.

    Raises
    ------
    pymc.exceptions.ShapeError
        If a length is fixed, by a constant or by other containers.
    """
    lengths = {dim: length_of(model, dim) for dim in new_lengths}
    for dim, length in lengths.items():
        if isinstance(length, SharedVariable) and length not in arrays:
            arrays[length] = np.array(new_lengths[dim], dtype=length.type.dtype)
        elif (fixed := evaluate_length(length, arrays)) != new_lengths[dim]:
            raise ShapeError(
                f"The dim {dim!r} has the fixed length {fixed}, "
                f"got values of length {new_lengths[dim]}.\n"
                "Hint: let a data container or the model's `coords` bring the dim in."
            )
    return lengths


def write_data(
    model: pm.Model,
    arrays: ContainerArrays,
    labels: Mapping[str, Labels],
    lengths: Mapping[str, TensorVariable],
) -> None:
    """Write values, labels and length expressions into a model, or leave it as it was."""
    old_arrays = {shared: shared.get_value(borrow=True) for shared in arrays}
    old_labels, old_lengths = dict(model.coords), dict(model.dim_lengths)
    try:
        for shared, array in arrays.items():
            shared.set_value(array)
        # The public `set_dim` raises for dims that it takes for fixed; but PyMC's properties return
        # the very dictionaries that it keeps.
        model.coords.update(labels)
        model.dim_lengths.update(lengths)
    except BaseException:
        for shared, array in old_arrays.items():
            shared.set_value(array, borrow=True)
        model.coords.update(old_labels)
        model.dim_lengths.update(old_lengths)
        raise
