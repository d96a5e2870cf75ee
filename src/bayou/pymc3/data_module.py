"""PyMC3's data module: the containers of bayou, with the errors that PyMC3 had."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import pymc as pm

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable


@wraps(by.Data)
def Data(*args: Any, **kwargs: Any) -> TensorVariable:  # noqa: N802, D103
    if kwargs.get("model") is None and pm.Model.get_context(False) is None:
        raise TypeError(
            "No model on context stack, which is needed for `Data`.\n"
            "Hint: write the call inside `with pm.Model() as model:`."
        )
    return by.Data(*args, **kwargs)


@wraps(by.set_data)
def set_data(new_data: Mapping[str, Any], model: pm.Model | None = None, **kwargs: Any) -> None:  # noqa: D103
    variables = pm.modelcontext(model).named_vars
    others = [
        name for name in new_data if name in variables and not hasattr(variables[name], "get_value")
    ]
    if others:
        raise TypeError(
            f"The variable `{others[0]}` must be defined as `pymc3.Data` inside the model to allow "
            f"updating, got {others}.\nHint: put values that change into the model with `Data`."
        )
    by.set_data(new_data, model=model, **kwargs)
