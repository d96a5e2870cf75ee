"""Operations in a graph that take several rows together, as far as they are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.graph.traversal import ancestors
from pytensor.tensor.basic import Join
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.signal.conv import Convolve1d
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from bayou.models.inputs import takes_rows
from bayou.models.scaling.row_weights import without_scaling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pymc as pm
    from pymc.distributions.transforms import Transform
    from pytensor.graph.basic import Apply, Variable
    from pytensor.tensor.variable import TensorVariable


def mixing_operations(model: pm.Model, name: str) -> list[str]:
    """Return what takes rows together in the graph of a variable, in words, each once.

    Parameters
    ----------
    model : pymc.Model
        The model.
    name : str
        A variable or potential of it.

    Returns
    -------
    list of str
        Such as "a sort". It may be empty, and an operation may be harmless: this is for messages.
    """
    variables = (*model.basic_RVs, *model.potentials)
    [variable] = [variable for variable in variables if variable.name == name]
    return list(dict.fromkeys(_mixing_operations(variable)))


def _mixing_operations(variable: Variable) -> Iterator[str]:
    for ancestor in ancestors([variable]):
        node = ancestor.owner
        if node is None or not any(map(takes_rows, _data_inputs(node))):
            continue
        match node.op:
            case CumOp():
                yield "a cumulative sum or product"
            case Softmax() | LogSoftmax():
                yield "a softmax"
            # Rows are the first axis. A reduction over others, as in x @ b, is of each row.
            case CAReduce() if node.op.axis is None or 0 in node.op.axis:
                yield "a sum, mean or other reduction over rows"
            case Blockwise(core_op=Convolve1d()):
                yield "a convolution"
            case SortOp() | ArgSortOp():
                yield "a sort"
            case AdvancedSubtensor():
                yield "an index into the rows"
            case Subtensor() | Join():
                yield "a shift of rows"
            case _:
                pass


def _data_inputs(node: Apply) -> Sequence[Variable]:
    """Return the inputs of a node that it takes together, without axes and indices."""
    return list(node.inputs[1:] if isinstance(node.op, Join) else node.inputs[:1])


def has_joint_density(variable: TensorVariable) -> bool:
    """Return whether one draw of the distribution of a variable takes all of its axes."""
    num_joint_axes = getattr(without_scaling(variable).owner.op, "ndim_supp", 0)
    return bool(num_joint_axes >= variable.ndim > 0)


def has_joint_transform(variable: TensorVariable, transform: Transform | None) -> bool:
    """Return whether a transform of a variable, or None, takes all of its axes at once."""
    num_joint_axes = getattr(transform, "ndim_supp", None) or 0
    return bool(num_joint_axes >= variable.ndim > 0)


def distribution_name(variable: TensorVariable) -> str:
    """Return the name of a distribution as PyMC prints it, such as MultivariateNormal."""
    operation = without_scaling(variable).owner.op
    # PyMC has no public name for it.
    names = getattr(operation, "_print_name", None)
    return str(names[0] if names else type(operation).__name__)
