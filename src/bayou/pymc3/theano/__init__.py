"""The names of Theano that code written for PyMC3 uses; all others come from PyTensor."""

from __future__ import annotations

import warnings
from typing import Any

import pytensor
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace

from bayou.pymc3.theano import tensor
from bayou.pymc3.theano.tensor import grad, value_variables

__all__ = ["clone", "function", "grad", "scan", "tensor"]


def function(inputs: Any, outputs: Any = None, **kwargs: Any) -> Any:
    """Compile a function; a free variable of a model stands for the value of its density.

    Parameters
    ----------
    inputs : sequence of variable
        What the function takes.
    outputs : variable or sequence of variable, optional
        What it returns.
    **kwargs
        As ``pytensor.function`` takes them.
    """
    return pytensor.function(value_variables(inputs), outputs, **kwargs)


def clone(output: Any, replace: Any = None, **kwargs: Any) -> Any:
    """Return a copy of a graph with parts replaced, by variables or by arrays.

    Parameters
    ----------
    output : variable or sequence of variable
        The graph.
    replace : dict of variable to variable or array_like, optional
        What is replaced by what.
    **kwargs
        As ``pytensor.graph.replace.clone_replace`` takes them.
    """
    replacements = {
        old: new if isinstance(new, Variable) else tensor.constant(old.type.filter(new))
        for old, new in dict(replace or {}).items()
    }
    return clone_replace(output, replacements, **kwargs)


def scan(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Loop over sequences as ``pytensor.scan`` does; return the outputs and the updates."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Scan return signature will change")
        return pytensor.scan(*args, **kwargs)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    return getattr(pytensor, name)
