"""The module ``theano.tensor``: that of PyTensor, with gradients by free variables of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable


def value_variables(variables: Any) -> Any:
    """Return variables with value variables, of which the density is a function, for free ones."""
    if isinstance(variables, list | tuple):
        return [value_variables(variable) for variable in variables]
    return getattr(getattr(variables, "tag", None), "value_variable", variables)


def grad(
    cost: Variable, wrt: Variable | Sequence[Variable], **kwargs: object
) -> Variable | list[Variable]:
    """Return gradients with respect to variables, among which may be free variables of a model.

    Parameters
    ----------
    cost : scalar variable
        The scalar to differentiate.
    wrt : variable or sequence of variable
        The variables to differentiate by. A free variable of a model stands for its value variable.
    **kwargs
        Passed to ``pytensor.grad``.

    Returns
    -------
    variable or list of variable
        The gradients, as many as `wrt`.
    """
    return pytensor.grad(cost, value_variables(wrt), **kwargs)


def __getattr__(name: str) -> Any:
    return getattr(pytensor.tensor, name)
