"""The argument `model` of public functions, and the model of the context in its place."""

from __future__ import annotations

import pymc as pm


def model_of(model: pm.Model | None) -> pm.Model:
    """Return a model; for None, the one whose ``with`` block the call is in.

    Raises
    ------
    TypeError
        If there is neither, or it is no PyMC model.
    """
    chosen = pm.modelcontext(model) if model is not None else pm.Model.get_context(False)
    if not isinstance(chosen, pm.Model):
        rule = "be passed outside of a `with model:` block" if model is None else "be a PyMC model"
        raise TypeError(
            f"`model` must {rule}, got {model!r}.\n"
            "Hint: call inside a `with model:` block, or pass `model=`."
        )
    return chosen
