"""Checks that whole numbers of containers are levels of the variables that they index.

Compiled code reads other memory where an index is out of range, and JAX takes the last level. An
index below zero counts from the end, which is right in a program and a missing code in data.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pymc.data import MinibatchOp
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.random.op import RNGConsumerOp
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayou.containers.variables.named_dims import lowered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Apply, Variable

    from bayou.containers.variables.dims import ContainerArrays


@dataclass(frozen=True, eq=False)
class Index:
    """Whole numbers of containers that index an axis of a variable.

    Attributes
    ----------
    containers : tuple of SharedVariable
        The containers that the numbers are computed from.
    indexed : str
        The name of the variable, or a description of it.
    shared : tuple of SharedVariable
        These containers, and all that the length of the axis is computed from.
    evaluate : callable
        (one array for each of ``shared``) -> the numbers, and the length of the axis.
    """

    containers: tuple[Any, ...]
    indexed: str
    shared: tuple[Any, ...]
    evaluate: Callable[..., list[NDArray[Any]]]


_indices: weakref.WeakKeyDictionary[pm.Model, tuple[list[Variable], list[Index]]] = (
    weakref.WeakKeyDictionary()
)


def check_indices(model: pm.Model, arrays: ContainerArrays | None = None) -> None:
    """Check that the whole numbers of containers are levels of what they index.

    Parameters
    ----------
    model : pymc.Model
        The model.
    arrays : dict of SharedVariable to ndarray, optional
        Values of containers in the place of their present ones.

    Raises
    ------
    IndexError
        Names the container, the value and its row.
    """
    by_container = {
        variable.container: array
        for variable, array in (arrays or {}).items()
        # The rows of a minibatch are checked as those of its data.
        if isinstance(variable, SharedVariable)
    }
    for index in _indices_of(model):
        if arrays and by_container.keys().isdisjoint(part.container for part in index.shared):
            continue
        values = {
            variable: by_container.get(variable.container, variable.container.storage[0])
            for variable in index.shared
        }
        numbers, length = index.evaluate(*values.values())
        outside = np.argwhere((numbers < 0) | (numbers >= length))
        if len(outside):
            own_values = [values[container] for container in index.containers]
            raise _error(index, own_values, numbers, int(length), tuple(outside[0]))


def _error(
    index: Index,
    values: Sequence[NDArray[Any]],
    numbers: NDArray[Any],
    length: int,
    at: tuple[int, ...],
) -> IndexError:
    names = " and ".join(repr(variable.name) for variable in index.containers)
    value = numbers[at]
    # The number that the container has, where the model indexes by an expression of it.
    if len(values) == 1 and values[0].shape == numbers.shape:
        value = values[0][at]
    row = f" in row {at[0]}" if at else ""
    return IndexError(
        f"{names} must hold indices of {index.indexed}, which has {length} levels along that axis, "
        f"0 to {length - 1}, got {value}{row}.\n"
        "Hint: number the levels from 0, or have by.Data do it: by.Data(..., categories=...). "
        'Leave rows with a missing level out: missing="drop".'
    )


def _indices_of(model: pm.Model) -> list[Index]:
    graphs = [*model.basic_RVs, *model.potentials, *model.deterministics]
    known = _indices.get(model)
    if (
        known is None
        or len(known[0]) != len(graphs)
        or any(old is not new for old, new in zip(known[0], graphs, strict=True))
    ):
        known = _indices[model] = (graphs, list(_find_indices(lowered(graphs))))
    return known[1]


def _find_indices(graphs: Sequence[Variable]) -> Iterator[Index]:
    seen = set()
    for variable in ancestors(graphs):
        if variable.owner is None or variable.owner in seen:
            continue
        seen.add(variable.owner)
        for axis, index in _index_arrays(variable.owner):
            made = _index(variable.owner.inputs[0], axis, index)
            if made is not None:
                yield made


def _index_arrays(node: Apply) -> Iterator[tuple[int, Variable]]:
    """Yield the arrays of whole numbers that index a variable, each with its axis."""
    if isinstance(node.op, AdvancedSubtensor):
        axis = 0
        for entry in node.op.idx_list:
            index: Any = node.inputs[1 + entry] if isinstance(entry, int) else None
            # A mask takes as many axes as it has.
            if index is not None and index.dtype == "bool":
                axis += index.ndim
                continue
            if index is not None:
                yield axis, index
            axis += 1


def _index(indexed: Variable, axis: int, index: Variable) -> Index | None:
    """Return the index by whole numbers of containers; None for any other index."""
    parts = list(ancestors([index]))
    if any(part.owner is not None and isinstance(part.owner.op, RNGConsumerOp) for part in parts):
        return None
    if not any(isinstance(part, SharedVariable) and part.ndim for part in parts):
        return None
    batches = {
        part: part.owner.inputs[part.index].astype(part.dtype)
        for part in ancestors([index, indexed])
        if part.owner is not None and isinstance(part.owner.op, MinibatchOp)
    }
    graphs = clone_replace([index, indexed.shape[axis]], batches, rebuild_strict=False)
    shared = [
        part
        for part in graph_inputs(graphs)
        if isinstance(part, SharedVariable) and not isinstance(part.type, RandomType)
    ]
    containers = [part for part in graph_inputs(graphs[:1]) if part in shared and part.ndim]
    inputs = [part.type() for part in shared]
    replaced = clone_replace(graphs, dict(zip(shared, inputs, strict=True)))
    # It runs once for each change of the data, and is compiled in milliseconds.
    with pytensor.config.change_flags(cxx=""):
        evaluate = pytensor.function(
            inputs, replaced, mode=Mode("py", "fast_compile"), on_unused_input="ignore"
        )
    name = repr(indexed.name) if indexed.name else f"a variable of shape {indexed.type.shape}"
    return Index(tuple(containers), name, tuple(shared), evaluate)
