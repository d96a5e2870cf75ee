"""The data of a model by name: containers, minibatches, generators and observed arrays.

Descriptions and fingerprints refer to the data, and to variables, by these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import walk

from bayou.containers.variables.generator import GeneratorOp
from bayou.models.inputs import feeding_variables, is_minibatch, storage_of, value_inputs

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Iterator

    import pymc as pm
    from pytensor.graph.basic import Variable


@dataclass(frozen=True, eq=False)
class ModelInput:
    """Data of a model.

    Attributes
    ----------
    name : str
        A name that no other data and no variable of the model has.
    role : {"input", "observed", "minibatch", "generator"}
        How the model uses it. A container that is the value of an observed variable is observed,
        also if it is a predictor too.
    variable : Variable
        The variable in the graph: of a minibatch, the batch.
    storage : SharedVariable or Constant
        The variable that has the values; of a generator, its first item.
    observed_by : tuple of str
        The observed variables whose values it is.
    """

    name: str
    role: str
    variable: Variable
    storage: Variable
    observed_by: tuple[str, ...]


def model_inputs(model: pm.Model) -> tuple[ModelInput, ...]:
    """Return the data of a model.

    Parameters
    ----------
    model : pymc.Model
        Any model. Its minibatches may be of PyMC.

    Returns
    -------
    tuple of ModelInput
        First the data containers, in the order of the model, used or not; then other data in its
        graphs; last the arrays that were passed to ``observed=`` directly.
    """
    values = {observed.name: model.rvs_to_values[observed] for observed in model.observed_RVs}
    # Sorted by name, since a copy of a model has its variables in another order, and names of
    # data that have none of their own are numbered.
    graphs = sorted(variables_of(model), key=lambda variable: str(variable.name), reverse=True)
    in_graphs = feeding_variables([*values.values(), *graphs])
    minibatches = {storage_of(root): root for root in in_graphs if is_minibatch(root)}
    containers = list(model.data_vars)
    # A container that a minibatch is drawn from is listed once, as the minibatch.
    roots = [minibatches.get(container, container) for container in containers]
    roots += [root for root in in_graphs if not is_length(model, root) and root not in minibatches]
    observers: dict[Hashable, list[str]] = {}
    for name, value in values.items():
        for root in feeding_variables([value]):
            observers.setdefault(key_of(root), []).append(name)
    taken = set(model.named_vars)
    inputs: dict[Hashable, ModelInput] = {}
    for root in roots:
        key, storage = key_of(root), storage_of(root)
        if key in inputs:
            continue
        observed_by = tuple(observers.get(key, ()))
        if storage in containers:
            name = str(storage.name)
        else:
            # An array that is observed directly has the name of the observed variable, also if
            # the model was turned into one of minibatches.
            name = str(root.name) if root.name in observed_by else _unused_name(root, taken)
        taken.add(name)
        inputs[key] = ModelInput(name, _role(root, observed_by), root, storage, observed_by)
    constants = (
        ModelInput(name, "observed", constant, constant, (name,))
        for name, value in values.items()
        if not feeding_variables([value])
        for constant in [_observed_constant(value)]
    )
    return (*inputs.values(), *constants)


def variables_of(model: pm.Model) -> list[Variable]:
    """List the random variables, deterministics and potentials of a model in its order."""
    variables = {*model.basic_RVs, *model.deterministics, *model.potentials}
    return [variable for variable in model.named_vars.values() if variable in variables]


def names_of(model: pm.Model, inputs: Iterable[ModelInput]) -> dict[Hashable, str]:
    """Return the names of the variables and of the data of a model by :func:`key_of`."""
    names = {key_of(variable): str(variable.name) for variable in variables_of(model)}
    for data in inputs:
        names[key_of(data.variable)] = names[key_of(data.storage)] = data.name
    return names


def is_length(model: pm.Model, variable: Variable) -> bool:
    """Return whether a variable is the length of a dim, also in a copy of a model."""
    return (
        isinstance(variable, SharedVariable)
        and variable.name in model.dim_lengths
        and variable.type.ndim == 0
        and variable not in model.data_vars
    )


def parents_of(variable: Variable, names: Container[Hashable]) -> Iterator[Hashable]:
    """Yield the key of each named variable that a variable is computed from directly.

    A variable of which the length alone is taken is no parent.
    """

    def is_named(ancestor: Variable) -> bool:
        return ancestor is not variable and key_of(ancestor) in names

    def inputs_of(ancestor: Variable) -> list[Variable]:
        return [] if is_named(ancestor) else value_inputs(ancestor)[::-1]

    for ancestor in walk([variable], inputs_of, bfs=False):
        if is_named(ancestor):
            yield key_of(ancestor)


def key_of(variable: Variable) -> Variable | tuple[Hashable, ...]:
    """Return a key of a variable, which is equal for all clones of a minibatch."""
    if is_minibatch(variable):
        return (variable.owner.op, *variable.owner.inputs, variable.index)
    return variable


def _observed_constant(value: Variable) -> Variable:
    """Return the array that is observed, without the casts of PyMC around it."""
    while value.owner is not None:
        value = value.owner.inputs[0]
    return value


def _role(root: Variable, observed_by: tuple[str, ...]) -> str:
    if is_minibatch(root):
        return "generator" if isinstance(root.owner.op, GeneratorOp) else "minibatch"
    return "observed" if observed_by else "input"


def _unused_name(root: Variable, taken: Container[str]) -> str:
    """Return the name of data, with a number if it is taken: minibatches may share a name."""
    name = root.name or ("minibatch" if is_minibatch(root) else "shared")
    candidates = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(candidate for candidate in candidates if candidate not in taken)
