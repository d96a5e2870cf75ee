"""The argument `model` of public functions, and the model of the context in its place."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, cast, overload

import pymc as pm

from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Callable


class _OfBambi(Protocol):
    """A model of Bambi."""

    backend: object


class _OfLibrary(Protocol):
    """A model of PyMC-Marketing, or of HSSM, whose own model is one of Bambi."""

    model: object


type ModelLike = pm.Model | pm.FrozenModel | _OfBambi | _OfLibrary
"""A model of PyMC, or of a library that builds one."""


class _ModelFirst[**P, R](Protocol):
    """A function whose model may also stand before its other arguments."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(self, model: ModelLike, /, *args: P.args, **kwargs: P.kwargs) -> R: ...


def takes_model_first[**P, R](function: Callable[P, R]) -> _ModelFirst[P, R]:
    """Have a function with a keyword `model` take the model as its first argument too.

    Raises
    ------
    TypeError
        From the function, if the model is passed twice.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> R:
        if not args or not is_model(args[0]):
            return function(*args, **kwargs)
        if kwargs.get("model") is not None:
            raise TypeError(
                f"`model` must be passed once, got {type_text(args[0])} as the first argument and "
                f"{type_text(kwargs['model'])} by name.\nHint: leave one of them out."
            )
        return function(*args[1:], **kwargs | {"model": args[0]})

    return cast("_ModelFirst[P, R]", call)


def is_model(value: object) -> bool:
    """Return whether a value is a model, also one of a library that has not built it yet."""
    try:
        return _pymc_model(value) is not None
    except ValueError:
        return True


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
