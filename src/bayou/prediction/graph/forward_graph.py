"""A PyMC model run forwards: from values of its parameters and rows of data to what it predicts.

The model stays as it is: its containers become inputs of a copy of its graph. Random variables of
PyMC that are graphs themselves are opened, so that only the basic ones of PyTensor are left. PyMC's
and PyTensor's internals that this takes are touched in this file alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.variational.minibatch_rv import MinibatchRandomVariable
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, walk
from pytensor.printing import debugprint
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.basic import BernoulliRV
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomGeneratorType
from pytensor.tensor.shape import Shape, Shape_i

from bayou.models.inputs import feeding_variables, is_minibatch
from bayou.models.total_size import without_total_size
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable


@dataclass(frozen=True, eq=False)
class Graph:
    """A copy of a part of a model, whose inputs are free to be given.

    Attributes
    ----------
    outputs : tuple of Variable
        What is asked for.
    free : dict of str to Variable
        The free variables that it depends on.
    rows : tuple of Variable
        What containers held whose rows are given, in the order that they were named in.
    fixed : dict of SharedVariable to Variable
        What the other containers hold.
    constants : tuple of (SharedVariable, int)
        The lengths and sizes that are written into it.
    """

    outputs: tuple[Variable, ...]
    free: dict[str, Variable]
    rows: tuple[Variable, ...]
    fixed: dict[Any, Variable]
    constants: tuple[tuple[Any, int], ...]

    def replaced(self, graphs: Sequence[Variable], values: dict[Any, Any]) -> list[Variable]:
        """Return graphs of it with some of its variables replaced."""
        return clone_replace(list(graphs), values, rebuild_strict=False)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class RandomNode:
    """A basic random variable of a graph: its value, its parameters, and how many axes they have.

    Attributes
    ----------
    value : Variable
        What is drawn.
    parameters : tuple of Variable
        What its distribution depends on.
    core_axes : tuple of int
        How many of the last axes of each parameter belong to one draw.
    support_axes : int
        How many of the last axes of the value belong to one draw.
    op : RandomVariable
        Its distribution.
    """

    value: Variable
    parameters: tuple[Variable, ...]
    core_axes: tuple[int, ...]
    support_axes: int
    op: Any


def predictable(model: pm.Model) -> dict[str, Variable]:
    """Return the observed variables and the deterministics of a model by name, in this order."""
    found = (*model.observed_RVs, *model.deterministics)
    return {variable.name: variable for variable in found}


def batches_of(model: pm.Model) -> dict[str, Variable]:
    """Return the minibatches and generators that a model is fed by, by name.

    Raises
    ------
    ValueError
        If several of them have one name.
    """
    graphs = [*model.basic_RVs, *model.deterministics, *model.rvs_to_values.values()]
    found: dict[str, Variable] = {}
    for root in feeding_variables(graphs):
        if is_minibatch(root):
            other = found.setdefault(root.name, root)
            if _storage(other) != _storage(root):
                raise ValueError(
                    f"The minibatches of `model` must have names of their own, got {root.name!r} "
                    'twice.\nHint: name them: by.Minibatch(data, 512, name="x").'
                )
    return found


def containers_of(graphs: Sequence[Variable]) -> list[Any]:
    """Return the containers that graphs depend on."""
    return [root for root in feeding_variables(graphs) if root.type.ndim or is_minibatch(root)]


def read_by(model: pm.Model, names: Iterable[str], containers: Collection[Variable]) -> list[Any]:
    """Return the containers, among some, whose values are read, not their lengths alone."""
    known = predictable(model)

    def inputs_of(variable: Variable) -> list[Variable]:
        stop = variable.owner is None or is_minibatch(variable)
        return [] if stop or isinstance(variable.owner.op, Shape | Shape_i) else _inputs(variable)

    read = {_storage(found) for found in walk([known[name] for name in names], inputs_of)}
    return [container for container in containers if _storage(container) in read]


def open_graph(
    model: pm.Model,
    names: Sequence[str],
    rows: Mapping[Variable, tuple[int, ...]],
    row_dims: Iterable[str],
    others: Mapping[Variable, NDArray[Any]],
) -> Graph:
    """Copy what variables depend on, with inputs in the place of containers.

    Parameters
    ----------
    model : pymc.Model
        Stays as it is.
    names : sequence of str
        The variables that are asked for.
    rows : mapping of Variable to tuple of int
        The containers whose rows are to be given, and the shape of one row of each.
    row_dims : iterable of str
        Dims that are as long as there are rows.
    others : mapping of Variable to ndarray
        What other containers are to hold, in the place of what they do.
    """
    known = predictable(model)
    asked = [without_total_size(known[name]) for name in names]
    free = [variable for variable in ancestors(asked) if variable in set(model.free_RVs)]
    places = {
        _storage(container): with_shape(container, (None, *shape))
        for container, shape in rows.items()
    }
    num_rows = next(iter(places.values())).shape[0]
    lengths = {id(model.dim_lengths[dim]) for dim in row_dims if dim in model.dim_lengths}
    replacements: dict[Any, Any] = {}
    fixed: dict[Any, Variable] = {}
    constants: dict[Any, int] = {}
    for root in feeding_variables([*asked, *free]):
        # In a copy of a model, PyMC leaves lengths of dims tied to the original's containers.
        own = model.root.named_vars.get(root.name, root) if root.owner is None else root
        if _storage(own) in places:
            replacements[root] = places[_storage(own)]
        elif id(root) in lengths:
            replacements[root] = num_rows.astype(root.type.dtype)
        elif root.type.ndim == 0 and root.type.dtype.startswith(("int", "uint")):
            constants[root] = int(others[root] if root in others else root.get_value())
            replacements[root] = pt.constant(constants[root], dtype=root.type.dtype)
        else:
            shape = (others[root] if root in others else root.get_value(borrow=True)).shape
            fixed[root] = replacements[root] = with_shape(root, shape)
    for generator in generators_of([*asked, *free]):
        replacements[generator] = generator.type()
    try:
        copies = clone_replace([*asked, *free], replacements, rebuild_strict=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`data` must fit the model, which cannot be made for them: {error}\n"
            "Hint: pass rows of the shape that the containers have."
        ) from error
    opened = _opened(copies)
    return Graph(
        outputs=tuple(opened[: len(asked)]),
        free={
            variable.name: copy for variable, copy in zip(free, opened[len(asked) :], strict=True)
        },
        rows=tuple(places[_storage(container)] for container in rows),
        fixed=fixed,
        constants=tuple(constants.items()),
    )


def random_nodes(graphs: Sequence[Variable]) -> list[RandomNode]:
    """Return the basic random variables that graphs depend on, each after what it depends on."""
    if not graphs:
        return []
    nodes = FunctionGraph(outputs=list(graphs), clone=False).toposort()
    return [_random_node(node) for node in nodes if isinstance(node.op, RandomVariable)]


def _random_node(node: Any) -> RandomNode:
    return RandomNode(
        value=node.outputs[1],
        parameters=tuple(node.op.dist_params(node)),
        core_axes=tuple(node.op.ndims_params),
        support_axes=node.op.ndim_supp,
        op=node.op,
    )


def needed(graph: Graph, given: Collection[str]) -> list[str]:
    """Return the free variables that the outputs take, once some of them are given."""
    stops = {graph.free[name] for name in given}
    found = set(
        walk(graph.outputs, lambda variable: [] if variable in stops else _inputs(variable))
    )
    return [name for name, variable in graph.free.items() if variable in found]


def substituted(
    outputs: Sequence[Variable], substitute: Callable[[int, RandomNode], Variable | None]
) -> list[Variable]:
    """Copy graphs with something else in the place of their random variables.

    Parameters
    ----------
    outputs : sequence of Variable
        The graphs, which stay as they are.
    substitute : callable
        (number of a node, as in :func:`random_nodes`; the node in the copy) -> a variable, or None
        for a node that stays.
    """
    graph = FunctionGraph(outputs=clone_replace(list(outputs), {}), clone=False)
    for index, node in enumerate(random_nodes(graph.outputs)):
        # What came before was substituted in the inputs of the node by now.
        found = substitute(index, _random_node(node.value.owner))
        if found is not None:
            graph.replace(node.value, found, import_missing=True)
    return list(graph.outputs)


def generators_of(graphs: Sequence[Variable]) -> list[Variable]:
    """Return the generators at the roots of graphs."""
    return [
        variable
        for variable in ancestors(graphs)
        if variable.owner is None and _is_generator(variable)
    ]


def logit_of(chance: Variable) -> Variable | None:
    """Return what a chance is the sigmoid of, if it is of one in floating point."""
    owner = chance.owner
    if owner is None or not isinstance(owner.op, Elemwise):
        return None
    is_sigmoid = isinstance(owner.op.scalar_op, Sigmoid)
    logit = owner.inputs[0]
    return logit if is_sigmoid and logit.type.dtype == chance.type.dtype else None


def draws_in_loops(graphs: Sequence[Variable]) -> bool:
    """Tell whether random numbers are drawn inside of a loop, where they cannot be taken apart."""
    owners = (variable.owner for variable in ancestors(graphs) if variable.owner is not None)
    return any(
        not isinstance(owner.op, RandomVariable) and any(map(_is_generator, owner.inputs))
        for owner in owners
    )


def dtype_of(output: Variable) -> str:
    """Return the dtype that predictions have: that of the model, but a byte for what is 0 or 1."""
    owner = output.owner
    is_bernoulli = owner is not None and isinstance(owner.op, BernoulliRV)
    return "int8" if is_bernoulli else str(output.type.dtype)


def fingerprint(outputs: Sequence[Variable]) -> str:
    """Return a short text that differs between graphs."""
    text = debugprint(list(outputs), file="str", print_type=True)
    return digest(text)


def with_shape(variable: Variable, shape: tuple[int | None, ...]) -> Variable:
    """Return an input like a variable, of a shape that is known while it is compiled."""
    return pt.TensorType(variable.type.dtype, shape=shape)(name=variable.name)


def _is_generator(variable: Variable) -> bool:
    return isinstance(variable.type, RandomGeneratorType)


def _inputs(variable: Variable) -> list[Variable]:
    return [] if variable.owner is None else variable.owner.inputs


def _storage(variable: Variable) -> Any:
    """Return what copies of a container have in common."""
    if is_minibatch(variable):
        return (variable.owner.op, *map(_storage, variable.owner.inputs))
    return id(variable.container) if isinstance(variable, SharedVariable) else variable


def _opened(graphs: list[Variable]) -> list[Variable]:
    """Put what random variables are made of in their place."""
    graph = FunctionGraph(outputs=graphs, clone=False)
    while True:
        wrappers = (node for node in graph.toposort() if isinstance(node.op, _WRAPPERS))
        node = next(wrappers, None)
        if node is None:
            return list(graph.outputs)
        total = isinstance(node.op, MinibatchRandomVariable)
        made = [node.inputs[0]] if total else inline_ofg_node(node)
        graph.replace_all(list(zip(node.outputs, made, strict=True)), import_missing=True)


_WRAPPERS = (SymbolicRandomVariable, MinibatchRandomVariable)
