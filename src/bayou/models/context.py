"""The model that a call speaks of: the one given, or the one of the context."""

from __future__ import annotations

import pymc as pm


def model_of(model: pm.Model | None) -> pm.Model:
    """Return the model given, else the one whose ``with`` block the call stands in.

    Raises
    ------
    TypeError
        If there is neither.
    """
    found = pm.modelcontext(model) if model is not None else pm.Model.get_context(False)
    if not isinstance(found, pm.Model):
        raise TypeError(
            f"`model` must be a PyMC model, got {model!r} outside a model context.\n"
            "Hint: call inside a `with model:` block, or pass `model=`."
        )
    return found
