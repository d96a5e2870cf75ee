"""The argument `model` of public functions, and the model of the context in its place."""

from __future__ import annotations

from typing import Protocol

import pymc as pm


class _OfBambi(Protocol):
    """A model of Bambi."""

    backend: object


class _OfLibrary(Protocol):
    """A model of PyMC-Marketing, or of HSSM, whose own model is one of Bambi."""

    model: object


type ModelLike = pm.Model | pm.FrozenModel | _OfBambi | _OfLibrary
"""A model of PyMC, or of a library that builds one."""


def model_of(model: ModelLike | None) -> pm.Model:
    """Return a model; for None, the one whose ``with`` block the call is in.

    Parameters
    ----------
    model : pymc.Model, pymc.FrozenModel or an object that has one, optional
        A model of a library has it as ``model.backend.model`` (Bambi) or ``model.model``
        (PyMC-Marketing, HSSM).

    Raises
    ------
    TypeError
        If there is none, or it is no PyMC model.
    ValueError
        If it is of a library that has not built it yet.
    """
    if model is None:
        chosen = pm.Model.get_context(False)
        if chosen is None:
            raise TypeError(
                "`model` must be passed outside of a `with model:` block, got None.\n"
                "Hint: write the call inside `with pm.Model() as model:`, or pass `model=model`."
            )
        return chosen
    inner = _pymc_model(model)
    if inner is None:
        raise TypeError(
            f"`model` must be a PyMC model, got {model!r}.\n"
            "Hint: pass a `pm.Model`, or a built model of Bambi, HSSM or PyMC-Marketing; or leave "
            "it out inside of a `with model:` block."
        )
    return inner


def _pymc_model(candidate: object) -> pm.Model | None:
    """Return the model of PyMC that an object is or has; None if it is no model."""
    if isinstance(candidate, pm.Model | pm.FrozenModel):
        return candidate
    # A class has the names below as descriptors.
    if isinstance(candidate, type):
        return None
    if hasattr(candidate, "backend"):
        inner = getattr(candidate.backend, "model", None)
        if inner is None and hasattr(candidate, "build"):
            raise _not_built(candidate, "build()")
    elif hasattr(candidate, "build_model"):
        # PyMC-Marketing sets the attribute when it builds the model.
        inner = getattr(candidate, "model", None)
        if inner is None:
            raise _not_built(candidate, "build_model(...)")
    else:
        inner = getattr(candidate, "model", None)
    return None if inner is None else _pymc_model(inner)


def _not_built(candidate: object, method: str) -> ValueError:
    name = type(candidate).__name__
    package = type(candidate).__module__.partition(".")[0]
    return ValueError(
        f"`model` must be built, got a {name} of {package} that is not.\n"
        f"Hint: call its `{method}` first."
    )
