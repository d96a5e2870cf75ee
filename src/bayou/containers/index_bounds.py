"""Checks that whole numbers of containers are levels of the variables that they index.

Compiled code reads other memory where an index is out of range, and JAX takes the last level. An
index below zero counts from the end, which is right in a program and a missing code in data: it is
refused unless it is a constant of the model.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pytensor
from pymc.data import MinibatchOp
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, graph_inputs, toposort, walk
from pytensor.tensor.random.op import RNGConsumerOp
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.shape import Shape, Shape_i

from bayou.containers.inner_indices import custom_densities, indexed_axes
from bayou.containers.variables.named_dims import lowered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.compile.executor import Function
    from pytensor.graph.basic import Variable
    from pytensor.link.basic import Container
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers

type Storage = Container | Variable
"""The holder of the values of a variable, which all clones of the variable share."""
type RowText = Callable[[str, int, np.integer], str]
"""(name of a container, row of its array, value there) -> the number of the row if it is known."""


@dataclass(frozen=True, eq=False)
class Index:
    """Whole numbers that index an axis of a variable.

    Attributes
    ----------
    containers : tuple of SharedVariable
        The containers that the numbers are computed from. None for constants.
    names : tuple of str
        The names of these containers, that of a minibatch for the data of one.
    indexed : str
        The name of the variable, or a description of it.
    shared : tuple of SharedVariable
        These containers, and all that the length of the axis is computed from.
    evaluate : callable
        (one array for each of ``shared``) -> the numbers, and the length of the axis.
    """

    containers: tuple[SharedVariable, ...]
    names: tuple[str, ...]
    indexed: str
    shared: tuple[SharedVariable, ...]
    evaluate: Function


_LOCK = Lock()
_indices: weakref.WeakKeyDictionary[pm.Model, tuple[list[Variable], list[Index]]] = (
    weakref.WeakKeyDictionary()
)


def check_indices(
    model: pm.Model,
    arrays: Mapping[TensorVariable, Numbers] | None = None,
    row_text: RowText | None = None,
) -> None:
    """Check that whole numbers are levels of what they index.

    Parameters
    ----------
    model : pymc.Model
        The model.
    arrays : mapping of Variable to ndarray, optional
        Values of containers and minibatches in the place of their present ones. Only indices that
        depend on one of these are checked then.
    row_text : callable, optional
        (name of a container, row of its array, value there) -> the words of errors for that row,
        such as " in row 3", or "" if it is not known. By default, rows are those of the array.

    Raises
    ------
    IndexError
        Names the container, the value and its row.
    """
    by_storage = {_storage(variable): array for variable, array in (arrays or {}).items()}
    for index in _indices_of(model):
        if arrays and by_storage.keys().isdisjoint(map(_storage, index.shared)):
            continue
        values = {
            variable: by_storage.get(_storage(variable), variable.container.storage[0])
            for variable in index.shared
        }
        # A compiled function has one set of inputs for all threads.
        with _LOCK:
            numbers, length = index.evaluate(*values.values())
        # Constants count from the end as those of NumPy do.
        least = 0 if index.names else -length
        if numbers.size and (numbers.min() < least or numbers.max() >= length):
            outside = np.argwhere((numbers < least) | (numbers >= length))
            own_values = [values[container] for container in index.containers]
            at = tuple(map(int, outside[0]))
            raise _error(index, own_values, numbers, int(length), at, row_text)


def indexing_storages(model: pm.Model) -> frozenset[Storage]:
    """Return the storages of the containers and minibatches whose numbers index a variable."""
    return frozenset(
        _storage(container) for index in _indices_of(model) for container in index.containers
    )


def storage_key(variable: Variable) -> Storage:
    """Return the key of a container, minibatch or generator in :func:`indexing_storages`."""
    return _storage(variable)


def _storage(variable: Variable) -> Storage:
    """Return the storage of a container, that of the data of a minibatch, or the variable."""
    if variable.owner is not None and isinstance(variable.owner.op, MinibatchOp):
        variable = _data_of(variable)
    return variable.container if isinstance(variable, SharedVariable) else variable


def _error(
    index: Index,
    values: Sequence[Numbers],
    numbers: NDArray[np.integer],
    length: int,
    at: tuple[int, ...],
    row_text: RowText | None,
) -> IndexError:
    value = numbers[at]
    # The number that the container has, where the model indexes by an expression of it.
    if len(values) == 1 and values[0].shape == numbers.shape:
        value = values[0][at]
    row = f" in row {at[0]}" if at else ""
    if at and row_text is not None and index.names:
        row = row_text(index.names[0], at[0], value)
    if not index.names:
        return IndexError(
            f"`model` must index {index.indexed}, which has {length} levels along that axis, by "
            f"numbers from 0 to {length - 1}, or from -{length} to -1, got the constant "
            f"{value}{row}.\nHint: number the levels from 0, or give the variable more of them."
        )
    return IndexError(
        f"{' and '.join(map(repr, index.names))} must hold indices of {index.indexed}, which has "
        f"{length} levels along that axis, 0 to {length - 1}, got {value}{row}.\n"
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
        known = _indices[model] = (
            graphs,
            list(_find_indices(lowered([*graphs, *custom_densities(model)]))),
        )
    return known[1]


def _find_indices(graphs: Sequence[Variable]) -> Iterator[Index]:
    # In the order of computation: where an index is indexed itself, the inner one is checked first.
    for node in toposort(graphs):
        for indexed, axis, index in indexed_axes(node):
            made = _index(indexed, axis, index)
            if made is not None:
                yield made


def _index(indexed: Variable, axis: int, index: Variable) -> Index | None:
    """Return the index by whole numbers of containers or constants; None for any other index."""
    parts = list(_data_parts([index]))
    if any(part.owner is not None and isinstance(part.owner.op, RNGConsumerOp) for part in parts):
        return None
    # A scalar is a number of data only by its value: lengths are right by themselves.
    by_value = parts if _num_axes(index) else list(_data_parts([index], stop=(Shape, Shape_i)))
    is_of_data = any(_is_data(part, scalars=not _num_axes(index)) for part in by_value)
    is_constant = _num_axes(index) and any(
        isinstance(part, Constant) and _num_axes(part) for part in parts
    )
    if not is_of_data and not is_constant:
        return None
    batches = {
        part: _data_of(part).astype(part.type.dtype)
        for part in ancestors([index, indexed])
        if part.owner is not None and isinstance(part.owner.op, MinibatchOp)
    }
    graphs = clone_replace([index, indexed.shape[axis]], batches, rebuild_strict=False)
    shared: list[SharedVariable] = [
        part
        for part in graph_inputs(graphs)
        if isinstance(part, SharedVariable) and not isinstance(part.type, RandomType)
    ]
    inputs = [part.type() for part in shared]
    replaced = clone_replace(graphs, dict(zip(shared, inputs, strict=True)))
    # It runs once for each change of the data, and is compiled in milliseconds.
    with pytensor.config.change_flags(cxx=""):
        evaluate = pytensor.function(
            inputs, replaced, mode=Mode("py", "fast_compile"), on_unused_input="ignore"
        )
    own = set(_data_parts(graphs[:1], stop=(Shape, Shape_i)))
    containers = [part for part in shared if part in own and _is_data(part, scalars=True)]
    vectors = [part for part in containers if _num_axes(part)]
    named = {_data_of(batch): _batch_name(batch) for batch in batches if batch in parts}
    names = [named.pop(part, part.name) for part in vectors or containers] + [*named.values()]
    name = repr(indexed.name) if indexed.name else f"a variable of shape {indexed.type.shape}"
    chosen = tuple(vectors or containers)
    return Index(chosen, tuple(map(str, names)), name, tuple(shared), evaluate)


def _data_parts(graphs: Sequence[Variable], stop: tuple[type, ...] = ()) -> Iterator[Variable]:
    """Yield the variables that graphs are computed from, of minibatches their data alone."""

    def expand(variable: Variable) -> Sequence[Variable] | None:
        if variable.owner is None or isinstance(variable.owner.op, stop):
            return None
        if isinstance(variable.owner.op, MinibatchOp):
            return [_data_of(variable)]
        inputs: Sequence[Variable] = variable.owner.inputs
        return inputs

    yield from walk(list(graphs), expand)


def _data_of(batch: Variable) -> Variable:
    """Return the data that a minibatch is a sample of, or the first item of a generator."""
    assert batch.owner is not None
    return batch.owner.inputs[batch.index or 0]


def _batch_name(batch: Variable) -> str:
    return batch.name or "generator"


def _is_data(part: Variable, *, scalars: bool) -> bool:
    """Return whether a variable is a container, or a shared variable of numbers in a model."""
    is_shared = isinstance(part, SharedVariable) and not isinstance(part.type, RandomType)
    if not is_shared:
        return False
    return bool(_num_axes(part)) or (scalars and "int" in part.type.dtype)


def _num_axes(variable: Variable) -> int:
    return getattr(variable.type, "ndim", 0)
