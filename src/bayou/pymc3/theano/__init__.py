"""Names of Theano, for code that was written for PyMC3: ``from bayou.pymc3 import theano``.

Every name that is not defined here comes from PyTensor.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytensor
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace

from bayou.pymc3.theano import tensor
from bayou.pymc3.theano.tensor import grad, value_variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytensor.compile.executor import Function

__all__ = ["clone", "function", "grad", "scan", "tensor"]


def function(
    inputs: list[Variable] | tuple[Variable, ...],
    outputs: Variable | Sequence[Variable] | None = None,
    **kwargs: object,
) -> Function:
    """Compile a function of variables, among which may be free variables of a model.

    In PyMC3 a free variable was the variable that the density is a function of; PyMC has a value
    variable for that, which takes its place here.

    Parameters
    ----------
    inputs : sequence of variable
        The inputs of the function.
    outputs : variable or sequence of variable, optional
        The outputs of the function.
    **kwargs
        Passed to ``pytensor.function``.

    Returns
    -------
    callable
        The compiled function.
    """
    return pytensor.function(value_variables(inputs), outputs, **kwargs)


def clone(
    output: Variable | Sequence[Variable],
    replace: Mapping[Variable, object] | Iterable[tuple[Variable, object]] | None = None,
    **kwargs: object,
) -> Variable | list[Variable]:
    """Return a copy of a graph with parts replaced, by variables or by arrays.

    Parameters
    ----------
    output : variable or sequence of variable
        The graph.
    replace : dict of variable to variable or array_like, optional
        The new part for each part that is replaced.
    **kwargs
        Passed to ``pytensor.graph.replace.clone_replace``.

    Returns
    -------
    variable or list of variable
        The copy.
    """
    replacements = {
        old: new if isinstance(new, Variable) else tensor.constant(old.type.filter(new))
        for old, new in dict(replace or {}).items()
    }
    return clone_replace(output, replacements, **kwargs)


def scan(
    *args: object, **kwargs: object
) -> tuple[Variable | list[Variable], dict[Variable, Variable]]:
    """Loop over sequences as ``pytensor.scan`` does; return the outputs and the updates."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Scan return signature will change")
        return pytensor.scan(*args, **kwargs)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    return getattr(pytensor, name)
