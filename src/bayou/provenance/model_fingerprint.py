"""Fingerprints of the definitions of a model's variables, without their data.

They are digests of the graphs as they were written. Nothing is derived or compiled, so that they
cost milliseconds. They are saved in results: what they are computed from may not change.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pymc as pm
from pymc.distributions.custom import CustomDistRV, CustomSymbolicDistRV
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.ops import ViewOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, walk_toposort
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomType

from bayou.errors import failure_text, warn, warning_of_failure
from bayou.provenance.fingerprint import array_fingerprint
from bayou.provenance.named_inputs import is_length, key_of, model_inputs, names_of, variables_of
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op

    # The name of a variable at which a walk over a graph stops; None where it goes on.
    type Leaf = Callable[[Variable], str | None]

# The address of an object in memory, in the representation that Python gives by default. It is
# another one in each process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def variable_fingerprints(model: pm.Model) -> dict[str, str]:
    """Return the fingerprint of each random variable, deterministic and potential.

    It covers how a variable is computed from variables and data with names, and constant arrays in
    between, but not the values of data containers, nor lengths that depend on them. It is the same
    in each process. Other versions of PyMC and PyTensor may build another graph of the same model,
    with another fingerprint.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    dict of str to str
        The fingerprints, of 32 hexadecimal digits, by the names of the variables. A variable whose
        graph cannot be read has none.

    Warns
    -----
    UserWarning
        If a variable has none.

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
        def leaf(ancestor: Variable) -> str | None:
            if ancestor is variable:
                return None
            return (
                f"length of {ancestor.name}"
                if is_length(model, ancestor)
                else names.get(key_of(ancestor))
            )

        dims = model.named_vars_to_dims.get(variable.name) or ()
        is_observed = variable in model.observed_RVs
        return digest(str(tuple(dims)), *_graph_digests([variable], leaf, sized=not is_observed))

    fingerprints = {}
    for variable in variables_of(model):
        with warning_of_failure(
            f"The definition of {variable.name!r} has no fingerprint",
            "by.verify does not compare it; results are as good as ever.",
        ):
            fingerprints[variable.name] = fingerprint(variable)
    return fingerprints


def _graph_digests(outputs: Sequence[Variable], leaf: Leaf, *, sized: bool = True) -> list[str]:
    """Return the digest of each graph, computed from those of its inputs.

    Parameters
    ----------
    outputs : sequence of Variable
        The graphs.
    leaf : callable
        variable -> the name of one at which the graph ends, or None.
    sized : bool, default True
        Whether the sizes of random variables count. Those of observed variables are the number of
        rows, and do not.
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
            # PyMC wraps each deterministic in a view, but not in a copy of a model.
            digests[variable] = digests[variable.owner.inputs[0]]
        else:
            node = variable.owner
            sizes = set() if sized else _size_inputs(node)
            inputs = (digests[parent] for parent in node.inputs if parent not in sizes)
            digests[variable] = digest(
                _operation_text(node.op), _density_text(variable), str(variable.index), *inputs
            )
    return [digests[variable] for variable in outputs]


def _size_inputs(node: Apply) -> set[Variable]:
    """Return the inputs of a random variable that are no more than its size."""
    if isinstance(node.op, RandomVariable):
        return {node.op.size_param(node)}
    if not isinstance(node.op, SymbolicRandomVariable):
        return set()
    if node.op.extended_signature is not None:
        size = node.op.size_param(node)
        return set() if size is None else {size}
    # Truncated and hurdle variables do not say which input is the size of what they are made of.
    outer = dict(zip(node.op.inner_inputs, node.inputs, strict=True))
    owners = {found.owner for found in ancestors(node.op.inner_outputs) if found.owner is not None}
    sizes = set().union(*map(_size_inputs, owners))
    return {outer[size] for size in sizes if size in outer}


def _root_text(variable: Variable) -> str:
    if isinstance(variable.type, RandomType):
        return "random state"
    if not isinstance(variable, Constant):
        shared = "shared" if isinstance(variable, SharedVariable) else "input"
        return f"{shared} {variable.name} {variable.type}"
    data: object = variable.data
    if hasattr(data, "dtype"):
        return array_fingerprint(data)
    return f"{type(data).__name__} {data}"


def _operation_text(op: Op) -> str:
    """Return the digest of an operation: of its type, options, inner operation and graphs."""
    options: dict[str, object] = getattr(op, "_props_dict", dict)()
    texts = [_ADDRESS.sub("", f"{type(op).__name__} {op} {options}")]
    if hasattr(op, "core_op"):
        texts.append(_operation_text(op.core_op))
    # Before PyTensor 3.3 an operation had one graph.
    graphs = getattr(op, "inner_graphs", {"": op.fgraph} if hasattr(op, "fgraph") else {})
    for graph in graphs.values():
        inputs = {variable: f"input {index}" for index, variable in enumerate(graph.inputs)}
        texts += _graph_digests(graph.outputs, inputs.get)
    return digest(*texts)


def _density_text(variable: Variable) -> str:
    """Return the digest of the density of a pm.CustomDist, "" for other distributions.

    The density is a function of Python, of which only the graph that it builds can be compared.
    """
    if not isinstance(variable.owner.op, CustomDistRV | CustomSymbolicDistRV):
        return ""
    if isinstance(variable.type, RandomType):
        return ""
    value = variable.type("value")
    # Inputs without a history: deriving a density copies random variables, so that their names
    # would no longer be known.
    inputs = [parent.type(f"input {index}") for index, parent in enumerate(variable.owner.inputs)]
    alone = variable.owner.clone_with_new_inputs(inputs).outputs[variable.index]
    try:
        density = pm.logp(alone, value, warn_rvs=False)
    except NotImplementedError:
        # It has random draws alone.
        return "no density"
    # The density is code of the user, who may have meant it for one shape of inputs alone.
    except Exception as error:
        warn(
            f"The density of {variable.name!r} has no fingerprint: {failure_text(error)}.\n"
            "Hint: by.verify compares all else of the model; results are as good as ever."
        )
        return "no density"
    return _graph_digests([density], {value: "value"}.get)[0]
