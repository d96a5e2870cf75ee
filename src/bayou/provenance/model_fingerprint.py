"""What a model says, apart from its data: a short text for each variable that differs if it does.

Graphs are read as they were written, nothing is derived or compiled, so that it costs milliseconds.
What this takes of the insides of PyMC and PyTensor is touched in this file alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pymc as pm
from pymc.distributions.custom import CustomDistRV, CustomSymbolicDistRV
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.ops import ViewOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import walk_toposort
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomType

from bayou.provenance.fingerprint import array_fingerprint
from bayou.provenance.named_inputs import is_length, key_of, model_inputs, names_of, variables_of
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable

    # What stands for a variable that is not looked into; None for one that is.
    type Leaf = Callable[[Variable], str | None]

# Where an object is in memory, which Python writes of those that have no text of their own.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def variable_fingerprints(model: pm.Model) -> dict[str, str]:
    """Return the fingerprint of each random variable, deterministic and potential.

    Each covers how a variable is computed from those that have names, and the arrays in between,
    but no values of data containers and no lengths that they bring. It stays the same between
    processes; other versions of PyMC and PyTensor may write the same model otherwise.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    dict of str to str
        By the names of the variables.

    Examples
    --------
    >>> def half_model(rate):
    ...     with pm.Model() as model:
    ...         x = pm.Exponential("x", rate)
    ...         pm.Deterministic("half", x / 2)
    ...     return variable_fingerprints(model)
    >>> one, other = half_model(1), half_model(2)
    >>> [name for name in one if one[name] != other[name]]
    ['x']
    """
    names = names_of(model, model_inputs(model))

    def fingerprint(variable: Variable) -> str:
        def leaf(found: Variable) -> str | None:
            if found is variable:
                return None
            return (
                f"length of {found.name}" if is_length(model, found) else names.get(key_of(found))
            )

        dims = model.named_vars_to_dims.get(variable.name) or ()
        is_observed = variable in model.observed_RVs
        return digest(str(tuple(dims)), *_graph_digests([variable], leaf, sized=not is_observed))

    return {variable.name: fingerprint(variable) for variable in variables_of(model)}


def _graph_digests(outputs: Sequence[Variable], leaf: Leaf, *, sized: bool = True) -> list[str]:
    """Return a digest of each graph, made of those of what it is computed from.

    Without ``sized``, the lengths of random variables are left out: they are those of what is
    observed.
    """

    def inputs_of(variable: Variable) -> list[Variable]:
        followed = variable.owner is not None and leaf(variable) is None
        return list(variable.owner.inputs) if followed else []

    digests: dict[Variable, str] = {}
    for variable in walk_toposort(list(outputs), inputs_of):
        name = leaf(variable)
        if name is not None:
            digests[variable] = digest("named", name)
        elif variable.owner is None:
            digests[variable] = digest(_root_text(variable))
        elif isinstance(variable.owner.op, ViewOp):
            # PyMC leaves out of a copy of a model what it puts around a deterministic.
            digests[variable] = digests[variable.owner.inputs[0]]
        else:
            node = variable.owner
            has_size = isinstance(node.op, RandomVariable | SymbolicRandomVariable)
            size = node.op.size_param(node) if has_size and not sized else None
            inputs = (digests[found] for found in node.inputs if found is not size)
            digests[variable] = digest(
                _operation_text(node.op), _density_text(variable), str(variable.index), *inputs
            )
    return [digests[variable] for variable in outputs]


def _root_text(variable: Variable) -> str:
    if isinstance(variable.type, RandomType):
        return "random state"
    if not isinstance(variable, Constant):
        shared = "shared" if isinstance(variable, SharedVariable) else "input"
        return f"{shared} {variable.name} {variable.type}"
    data: Any = variable.data
    if hasattr(data, "dtype"):
        return array_fingerprint(data)
    return f"{type(data).__name__} {data}"


def _operation_text(op: Any) -> str:
    """Return what an operation says of itself, of what it applies and of the graphs in it."""
    options: dict[str, Any] = getattr(op, "_props_dict", dict)()
    texts = [_ADDRESS.sub("", f"{type(op).__name__} {op} {options}")]
    if hasattr(op, "core_op"):
        texts.append(_operation_text(op.core_op))
    # Before PyTensor 3.3 an operation had one graph.
    graphs = getattr(op, "inner_graphs", {"": op.fgraph} if hasattr(op, "fgraph") else {})
    for graph in graphs.values():
        places = {variable: f"input {place}" for place, variable in enumerate(graph.inputs)}
        texts += _graph_digests(graph.outputs, places.get)
    return digest(*texts)


def _density_text(variable: Variable) -> str:
    """Return the digest of the density of a pm.CustomDist, which is a function of Python's."""
    if not isinstance(variable.owner.op, CustomDistRV | CustomSymbolicDistRV):
        return ""
    if isinstance(variable.type, RandomType):
        return ""
    value = variable.type("value")
    # Deriving a density copies random variables, which then have no names that are known here.
    inputs = [found.type(f"input {place}") for place, found in enumerate(variable.owner.inputs)]
    alone = variable.owner.clone_with_new_inputs(inputs).outputs[variable.index]
    try:
        density = pm.logp(alone, value, warn_rvs=False)
    except NotImplementedError:
        return "no density"
    return _graph_digests([density], {value: "value"}.get)[0]
