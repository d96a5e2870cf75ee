"""Whole numbers of a model that overflow, since PyMC holds 36 in 8 bits: 36**2 is 16 there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, io_toposort
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayou.errors import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Apply, Variable
    from pytensor.tensor.variable import TensorVariable

_logger = logging.getLogger(__name__)

# The least whole number whose square does not fit into 8 bits.
LEAST_NUMBER = 12
# Elements of a constant, so that none of the data are gone through.
MAX_SIZE = 100


def warn_of_overflow(model: pm.Model) -> None:
    """Warn if a density is computed from whole numbers that overflow.

    Warns
    -----
    UserWarning
        Names the variable and the computation, and says what its result should be.
    """
    overflows = {
        variable.name: text
        for variable, graph in _graphs_with_whole_numbers(model).items()
        # Constants of the variable itself may be folded in its density.
        if (text := find_overflow(variable) or find_overflow(graph)) is not None
    }
    if overflows:
        name, text = next(iter(overflows.items()))
        of_all = f" (and so do those of {list(overflows)[1:]})" if len(overflows) > 1 else ""
        warn(
            f"Whole numbers of {name!r} overflow{of_all}: {text}, so that its density is wrong.\n"
            "Hint: write them with a decimal point, such as sigma=36.0 in the place of sigma=36."
        )


def find_overflow(graph: Variable) -> str | None:
    """Return the first computation with constants alone that overflows, None if there is none.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> find_overflow(pt.sqr(pt.constant(36)) + 1.0)
    'sqr(36) is 16 in int8, not 1296'
    >>> find_overflow(pt.sqr(pt.constant(36.0)) + 1.0) is None
    True
    """
    exact: dict[Variable, NDArray[np.object_]] = {}
    for node in io_toposort([], [graph]):
        values = [_exact_value(variable, exact) for variable in node.inputs]
        inputs = [value for value in values if value is not None]
        if len(inputs) < len(values):
            continue
        value = _exact_result(node, inputs)
        if value is None:
            continue
        (output,) = node.outputs
        limits = np.iinfo(output.dtype)
        for *given, result in np.broadcast(*inputs, value):
            if not limits.min <= result <= limits.max:
                in_memory = np.uint64(result % 2**limits.bits).astype(output.dtype)
                call = f"{str(node.op.scalar_op).lower()}({', '.join(map(str, given))})"
                return f"{call} is {in_memory} in {output.dtype}, not {result}"
        exact[output] = value
    return None


def _graphs_with_whole_numbers(model: pm.Model) -> dict[TensorVariable, Variable]:
    """Return the log densities of the variables that are given whole numbers of some size."""
    variables = [
        variable
        for variable in (*model.basic_RVs, *model.potentials)
        if any(_is_large(ancestor) for ancestor in ancestors([variable]))
    ]
    if not variables:
        return {}
    try:
        terms = model.logp(variables, sum=False)
    except Exception as error:
        _logger.info("Whole numbers are not checked, since the model has no density: %s", error)
        # A model without a density can be described. Who needs the density says what is wrong.
        return {}
    return dict(zip(_in_order_of_terms(model, variables), terms, strict=True))


def _in_order_of_terms(
    model: pm.Model, variables: Sequence[TensorVariable]
) -> list[TensorVariable]:
    """Return variables as `model.logp` orders their terms: potentials last."""
    return sorted(variables, key=lambda variable: variable in model.potentials)


def _is_large(variable: Variable) -> bool:
    return (
        isinstance(variable, Constant)
        and _is_whole(variable)
        and 0 < variable.data.size <= MAX_SIZE
        and bool(np.abs(variable.data.astype(np.float64)).max() >= LEAST_NUMBER)
    )


def _is_whole(variable: Variable) -> bool:
    return str(getattr(variable.type, "dtype", "")) in ("int8", "int16", "int32", "int64")


def _exact_value(
    variable: Variable, exact: dict[Variable, NDArray[np.object_]]
) -> NDArray[np.object_] | None:
    """Return the Python numbers of a constant, or of what was computed of such; None for others."""
    if variable in exact:
        return exact[variable]
    if isinstance(variable, Constant) and _is_whole(variable) and variable.data.size <= MAX_SIZE:
        numbers: NDArray[np.object_] = variable.data.astype(object)
        return numbers
    return None


def _exact_result(node: Apply, inputs: list[NDArray[np.object_]]) -> NDArray[np.object_] | None:
    """Return what a node computes of Python's numbers, which have no limits, if it is known."""
    if len(node.outputs) != 1 or not _is_whole(node.outputs[0]):
        return None
    if isinstance(node.op, DimShuffle):
        return inputs[0].reshape(()) if inputs[0].size == 1 else None
    if not isinstance(node.op, Elemwise):
        return None
    try:
        value = np.frompyfunc(node.op.scalar_op.impl, len(inputs), 1)(*inputs)
    except (ArithmeticError, NotImplementedError, TypeError, ValueError):
        return None
    value = np.asarray(value, dtype=object)
    return value if all(isinstance(number, int | np.integer) for number in value.flat) else None
