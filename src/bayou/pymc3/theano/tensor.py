"""``theano.tensor``: PyTensor's, with gradients with respect to the variables of a model."""

from __future__ import annotations

from typing import Any

import pytensor


def value_variables(variables: Any) -> Any:
    """Replace free variables of a model by the variables that its density is a function of."""
    if isinstance(variables, list | tuple):
        return [value_variables(variable) for variable in variables]
    return getattr(getattr(variables, "tag", None), "value_variable", variables)


def grad(cost: Any, wrt: Any, **kwargs: Any) -> Any:
    """Return gradients; a free variable of a model stands for the value of its density.

    Parameters
    ----------
    cost : scalar variable
        What is differentiated.
    wrt : variable or sequence of variable
        With respect to what.
    **kwargs
        As ``pytensor.grad`` takes them.
    """
    return pytensor.grad(cost, value_variables(wrt), **kwargs)


def __getattr__(name: str) -> Any:
    return getattr(pytensor.tensor, name)
