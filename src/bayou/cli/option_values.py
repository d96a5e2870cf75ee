"""Values of ``--option NAME=VALUE``, by the annotations of the function that takes them."""

from __future__ import annotations

import ast
import inspect
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def split_options(texts: Sequence[str]) -> dict[str, str]:
    """Return the texts NAME=VALUE as a dict.

    Raises
    ------
    ValueError
        If a text has no "=", or a name comes twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not (equals and name):
            raise ValueError(
                f"`--option` must be NAME=VALUE, got {text!r}.\nHint: --option degree=3."
            )
        if name in values:
            raise ValueError(
                f"`--option` must name {name!r} once, got {values[name]!r} and {value!r}.\n"
                "Hint: leave one of them out."
            )
        values[name] = value
    return values


def option_values(
    function: Callable[..., object], texts: Mapping[str, str], where: str
) -> dict[str, object]:
    """Return the arguments of a function beside its first one.

    Parameters
    ----------
    function : callable
        The function of a model file.
    texts : mapping of str to str
        Values by name. A value becomes what the annotation of its parameter says; without one, what
        the type of its default says; without either, the literal of Python that it is, or a text.
    where : str
        The function, for errors.

    Raises
    ------
    ValueError
        If the function has no such parameter, lacks a value that it needs, or a value is not of
        its type.
    """
    parameters = dict(list(_parameters(function).items())[1:])
    takes_all = [name for name, one in parameters.items() if one.kind is one.VAR_KEYWORD]
    named = {
        name: one
        for name, one in parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    for name in texts:
        if name not in named and not takes_all:
            close = get_close_matches(name, named, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            known = f"its options are {listed(named)}" if named else "it takes the data alone"
            raise ValueError(
                f"`--option` must name an argument of {where}, got {name!r}.\nHint: {meant}{known}."
            )
    missing = [
        name for name, one in named.items() if one.default is one.empty and name not in texts
    ]
    if missing:
        raise ValueError(
            f"`--option` must give {listed(missing)} of {where}, got none.\n"
            f"Hint: --option {missing[0]}=VALUE."
        )
    return {
        name: _value(name, text, _annotation(named[name]) if name in named else None)
        for name, text in texts.items()
    }


def data_annotation(function: Callable[..., object]) -> object:
    """Return the annotation of the first parameter of a function; None without one.

    Raises
    ------
    ValueError
        If it has no parameter.
    """
    first = next(iter(_parameters(function).values()), None)
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise ValueError("it takes none")
    return None if first.annotation is first.empty else first.annotation


def _parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(function, eval_str=True)
    # Names that are imported for type checkers alone.
    except (NameError, AttributeError):
        signature = inspect.signature(function)
    return dict(signature.parameters)


def _annotation(parameter: inspect.Parameter) -> object:
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    has_type = parameter.default is not parameter.empty and parameter.default is not None
    return type(parameter.default) if has_type else None


def _value(name: str, text: str, annotation: object) -> object:
    try:
        return _parsed(text, annotation)
    except (ValueError, SyntaxError):
        words = getattr(annotation, "__name__", None) or str(annotation)
        if get_origin(annotation) is Literal:
            words = f"one of {listed(get_args(annotation), form=str)}"
        raise ValueError(
            f"`--option {name}` must be {words}, got {text!r}.\n"
            "Hint: the annotation of the parameter in the model file says what it takes."
        ) from None


def _parsed(text: str, annotation: Any) -> object:
    """Return a text as a value of a type; raise ValueError or SyntaxError if it is none."""
    origin = get_origin(annotation)
    if annotation is None:
        return _literal_or_text(text)
    if origin is Literal:
        return _choice(text, {str(value): value for value in get_args(annotation)})
    if origin in (Union, UnionType):
        return _first_parsed(text, get_args(annotation))
    if annotation is NoneType:
        return _choice(text.lower(), {"none": None})
    if annotation is bool:
        return _choice(text.lower(), FLAGS)
    if annotation in (int, float, str, Path):
        return annotation(text)
    value = ast.literal_eval(text)
    expected = origin or annotation
    # The text of a type that could not be found is not checked.
    if isinstance(expected, type) and not isinstance(value, expected):
        raise ValueError(text)
    return value


def _literal_or_text(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _choice(text: str, values: Mapping[str, object]) -> object:
    if text not in values:
        raise ValueError(text)
    return values[text]


def _first_parsed(text: str, annotations: Sequence[object]) -> object:
    # A text takes everything, so it comes last.
    for annotation in sorted(annotations, key=lambda one: (one is str, one is not NoneType)):
        with suppress(ValueError, SyntaxError):
            return _parsed(text, annotation)
    raise ValueError(text)
