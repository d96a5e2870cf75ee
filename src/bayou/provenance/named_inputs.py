"""What feeds a model, found in its graph: data containers, minibatches, generators and constants.

Whatever stands in the graph is told apart by name here, for descriptions and for fingerprints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import walk
from pytensor.tensor.shape import Shape, Shape_i

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.random_rows import NumRows
from bayou.models.inputs import feeding_variables, is_minibatch, storage_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    import pymc as pm
    from pytensor.graph.basic import Variable


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A variable that brings values into a model.

    Attributes
    ----------
    name : str
        Its name in the model, of which there is one.
    role : {"input", "observed", "minibatch", "generator"}
        What it is. Containers that an observed variable takes are observed, even if others take
        them too.
    variable : Variable
        What stands in the graph.
    storage : SharedVariable or Constant
        What holds the values; of a generator, its first item.
    observed_by : tuple of str
        The observed variables whose values it is.
    """

    name: str
    role: str
    variable: Variable
    storage: Variable
    observed_by: tuple[str, ...]


def model_inputs(model: pm.Model) -> tuple[ModelInput, ...]:
    """Find what feeds a model.

    Parameters
    ----------
    model : pymc.Model
        Any model; the minibatches may be PyMC's own.

    Returns
    -------
    tuple of ModelInput
        First the data containers, in the order that they were made in, whether anything takes them
        or not; then what else is in the graph, and the arrays that are observed as they are.
    """
    values = {observed.name: model.rvs_to_values[observed] for observed in model.observed_RVs}
    # By name, since the variables of a copy of a model are in another order.
    graphs = sorted(variables_of(model), key=lambda variable: str(variable.name), reverse=True)
    found = feeding_variables([*values.values(), *graphs])
    slices = {storage_of(root): root for root in found if is_minibatch(root)}
    containers = list(model.data_vars)
    roots = [slices.get(container, container) for container in containers]
    # A container that is cut into batches stands in the graph as their storage too.
    roots += [root for root in found if not is_length(model, root) and root not in slices]
    observers: dict[Any, list[str]] = {}
    for name, value in values.items():
        for root in feeding_variables([value]):
            observers.setdefault(key_of(root), []).append(name)
    taken = set(model.named_vars)
    inputs: dict[Any, ModelInput] = {}
    for root in roots:
        key, storage = key_of(root), storage_of(root)
        if key in inputs:
            continue
        observed_by = tuple(observers.get(key, ()))
        if storage in containers:
            name = str(storage.name)
        else:
            # What is observed as it is has the name of its observer, and keeps it in batches.
            name = str(root.name) if root.name in observed_by else _unused(root, taken)
        taken.add(name)
        inputs[key] = ModelInput(name, _role(root, observed_by), root, storage, observed_by)
    constants = (
        ModelInput(name, "observed", constant, constant, (name,))
        for name, value in values.items()
        if not feeding_variables([value])
        for constant in [_constant(value)]
    )
    return (*inputs.values(), *constants)


def variables_of(model: pm.Model) -> list[Variable]:
    """List the variables of a model that have a graph, in the order that they were made in."""
    mine = {*model.basic_RVs, *model.deterministics, *model.potentials}
    return [variable for variable in model.named_vars.values() if variable in mine]


def names_of(model: pm.Model, inputs: Iterable[ModelInput]) -> dict[Any, str]:
    """Map what has a name in the graph, by :func:`key_of`, to that name."""
    names = {key_of(variable): str(variable.name) for variable in variables_of(model)}
    for found in inputs:
        names[key_of(found.variable)] = names[key_of(found.storage)] = found.name
    return names


def is_length(model: pm.Model, variable: Variable) -> bool:
    """Tell whether a variable holds the length of a dim, also in a copy of a model."""
    return (
        isinstance(variable, SharedVariable)
        and variable.name in model.dim_lengths
        and variable.type.ndim == 0
        and variable not in model.data_vars
    )


def parents_of(variable: Variable, names: Container[Any]) -> Iterator[Any]:
    """Yield the key of each named variable that a variable is computed from without another.

    What gives no more than a length does not count.
    """

    def inputs_of(found: Variable) -> list[Variable]:
        named = found is not variable and key_of(found) in names
        if named or found.owner is None or isinstance(found.owner.op, Shape | Shape_i | NumRows):
            return []
        return list(reversed(found.owner.inputs))

    for found in walk([variable], inputs_of, bfs=False):
        if found is not variable and key_of(found) in names:
            yield key_of(found)


def key_of(variable: Variable) -> Any:
    """Return what tells a variable from others; clones of one slice have it in common."""
    if is_minibatch(variable):
        return (variable.owner.op, *variable.owner.inputs, variable.index)
    return variable


def _constant(value: Variable) -> Variable:
    """Return the array that is observed, below the casts that PyMC puts on it."""
    while value.owner is not None:
        value = value.owner.inputs[0]
    return value


def _role(root: Variable, observed_by: tuple[str, ...]) -> str:
    if is_minibatch(root):
        return "generator" if isinstance(root.owner.op, GeneratorOp) else "minibatch"
    return "observed" if observed_by else "input"


def _unused(root: Variable, taken: Container[str]) -> str:
    """Return its name, with a number where it is taken: minibatches need no names of their own."""
    name = root.name or ("minibatch" if is_minibatch(root) else "shared")
    number = 1
    found = name
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found
