"""The dims of a PyMC model: their lengths, their labels, and how both change.

What PyMC keeps of dims and does not offer to change in public is touched in this file alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
from pymc.exceptions import ShapeError
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

type Dims = tuple[str | None, ...]
type Labels = tuple[Any, ...]
type Arrays = dict[Any, npt.NDArray[Any]]  # by shared variable

_WITHOUT_COMPILING = Mode(linker="py", optimizer=None)


def model_of_context(model: Any) -> Any:
    """Return the model, or that of the context if it is None."""
    try:
        return pm.modelcontext(model)
    except TypeError:
        raise TypeError(
            "`model` must be given outside of a model's context, got None.\n"
            "Hint: write the call inside `with pm.Model() as model:`, or pass `model=model`."
        ) from None


def dims_of(model: Any, variable: Any) -> Dims:
    """Return the dim of each axis of a variable, None for an axis without one."""
    dims = model.root.named_vars_to_dims.get(variable.name)
    return (None,) * variable.type.ndim if dims is None else tuple(dims)


def read_labels(labels: Any, what: str) -> Labels:
    """Return labels as the tuple that a model keeps, refusing those that no result could hold."""
    sequence = hasattr(labels, "__len__") and hasattr(labels, "__getitem__")
    if not sequence or isinstance(labels, str | bytes | Mapping):
        raise TypeError(
            f"{what} must be a sequence of labels, got {labels!r}.\n"
            "Hint: pass a list, an array or an index."
        )
    if isinstance(labels, pd.Index):
        labels = labels.tolist()
    # An xarray.DataArray yields arrays, its array yields the labels themselves.
    items = tuple(np.asarray(labels) if hasattr(labels, "__array__") else labels)
    if any(isinstance(item, tuple | list | np.ndarray) for item in items):
        raise ValueError(
            f"{what} must have one level, got labels such as {items[0]!r}.\n"
            "Hint: join the levels, as in `index.map(lambda levels: '/'.join(map(str, levels)))`."
        )
    return items


def read_coords(coords: Mapping[str, Any] | None) -> dict[str, Labels]:
    """Return the labels of each dim that the argument `coords` names."""
    if coords is not None and not isinstance(coords, Mapping):
        raise TypeError(
            f"`coords` must map dims to labels, got a {type(coords).__name__}.\n"
            "Hint: write `coords={'row': labels}`."
        )
    return {
        dim: read_labels(labels, f"`coords[{dim!r}]`") for dim, labels in (coords or {}).items()
    }


def by_dim(dims: Dims, labels_by_axis: Iterable[Labels | None]) -> dict[str, Labels]:
    """Return the labels of each axis by its dim, where it has both."""
    pairs = zip(dims, labels_by_axis, strict=True)
    return {dim: labels for dim, labels in pairs if dim is not None and labels is not None}


def refuse_other_labels(dim: str, labels: Labels, others: Labels) -> None:
    """Refuse two sets of labels, of one dim and length, that differ."""
    for position, (label, other) in enumerate(zip(labels, others, strict=True)):
        both_nan = label != label and other != other
        if label != other and not both_nan:
            raise ValueError(
                f"The dim {dim!r} must have one set of labels, got {label!r} and {other!r} at "
                f"position {position}.\nHint: align the values first, or use another dim."
            )


def length_of(model: Any, dim: str) -> Any:
    """Return the length of a dim, as an expression of the model's own containers.

    In a copy of a model, PyMC leaves the dims that only data have tied to the original's data.
    """
    length = model.dim_lengths[dim]
    own: dict[Any, Any] = {
        variable: model.root.named_vars.get(variable.name, variable)
        for variable in graph_inputs([length])
        if isinstance(variable, SharedVariable)
    }
    strays = {stray: variable for stray, variable in own.items() if variable is not stray}
    return clone_replace(length, strays) if strays else length


def evaluate_length(length: Any, arrays: Arrays) -> int:
    """Return a length as it is once these shared variables hold these arrays."""
    if isinstance(length, Constant):
        return int(length.data)
    if length not in _length_functions:
        _length_functions[length] = _length_function(length)
    function, containers = _length_functions[length]
    new = {shared.container: array for shared, array in arrays.items()}
    return int(function(*(new.get(held, held.storage[0]) for held in containers)))


def _length_function(length: Any) -> tuple[Any, list[Any]]:
    """Return a function of shared variables' values to a length, and what holds the values."""
    shared = [leaf for leaf in graph_inputs([length]) if isinstance(leaf, SharedVariable)]
    places = [leaf.type() for leaf in shared]
    graph = clone_replace([length], dict(zip(shared, places, strict=True)))
    function = pytensor.function(places, graph[0], mode=_WITHOUT_COMPILING)
    return function, [leaf.container for leaf in shared]


# PyTensor takes milliseconds to make a function, and microseconds to call it.
_length_functions: weakref.WeakKeyDictionary[Any, tuple[Any, list[Any]]] = (
    weakref.WeakKeyDictionary()
)


def resize(model: Any, arrays: Arrays, new_lengths: Mapping[str, int]) -> dict[str, Any]:
    """Return the length expressions of dims that get new lengths, refusing a fixed length.

    Lengths that are shared variables of their own join the `arrays`.
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


def write(
    model: Any, arrays: Arrays, labels: Mapping[str, Labels], lengths: Mapping[str, Any]
) -> None:
    """Put values, labels and length expressions into a model, or leave it as it was."""
    old_arrays = {shared: shared.get_value(borrow=True) for shared in arrays}
    old_labels, old_lengths = dict(model.coords), dict(model.dim_lengths)
    try:
        for shared, array in arrays.items():
            shared.set_value(array)
        # PyMC hands out the very dictionaries that it keeps; `set_dim` would refuse some dims.
        model.coords.update(labels)
        model.dim_lengths.update(lengths)
    except BaseException:
        for shared, array in old_arrays.items():
            shared.set_value(array, borrow=True)
        model.coords.update(old_labels)
        model.dim_lengths.update(old_lengths)
        raise
