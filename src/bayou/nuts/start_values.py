"""Where chains start by the user's wish: `initvals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pymc.util import get_untransformed_name, is_transformed_name

from bayou.models.initial_point import start_from_values
from bayou.models.rewrite import full_data_model
from bayou.text import listed, type_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.nuts.compiled.bound_density import BoundDensity

    type Start = Callable[..., list[NDArray[np.float64]]]
    type InitialValues = Mapping[Any, Any] | Sequence[Mapping[Any, Any] | None]
    """Values by variables or their names, for all chains or for each of them."""

_STRATEGIES = ("support_point", "prior")


def chain_starts(
    model: pm.Model, initvals: InitialValues | None, num_chains: int
) -> list[Start] | None:
    """Return the functions that give starting values: one for all chains, or one for each.

    Parameters
    ----------
    model : pymc.Model
    initvals : mapping, sequence of mapping or None
    num_chains : int

    Returns
    -------
    list of callable, or None
        (seed, values of shared variables by their containers) -> values of the free variables,
        transformed and moved at random. None without `initvals`.

    Raises
    ------
    TypeError
        If `initvals` is neither, or a value is no number or array.
    ValueError
        If there is not one for each chain, a name is none of a free variable, or a value has
        another shape than its variable.
    """
    if initvals is None:
        return None
    full_model = full_data_model(model)
    if isinstance(initvals, Mapping):
        return [_start(full_model, initvals)]
    given: object = initvals
    if not isinstance(given, list | tuple) or not all(
        each is None or isinstance(each, Mapping) for each in given
    ):
        raise TypeError(
            "`initvals` must be a dict of names to values, or a list of these, got "
            f"{type_text(initvals)}.\nHint: initvals={{'mu': 0.5}} is for all chains, "
            "initvals=[{'mu': 0}, {'mu': 1}] for each of two."
        )
    if len(initvals) != num_chains:
        raise ValueError(
            f"`initvals` must have one dict for each of {num_chains} chains, got {len(initvals)}.\n"
            "Hint: pass one dict for all of them, or None for a chain that starts as the model has "
            "it."
        )
    return [_start(full_model, each or {}) for each in initvals]


def with_start(density: BoundDensity, start: Start) -> BoundDensity:
    """Return a density whose chains start at values, moved at random until it is finite there."""

    def candidate(seed: int, attempt: int) -> NDArray[np.float64]:
        return _position(start, seed, attempt)

    return replace(density, candidate=candidate, spread=None)


def with_start_of_each(
    density: BoundDensity, starts: Sequence[Start], seeds: Sequence[int]
) -> BoundDensity:
    """Return a density whose chains, known by their seeds, start at values of their own."""
    by_seed = dict(zip(seeds, starts, strict=True))

    def candidate(seed: int, attempt: int) -> NDArray[np.float64]:
        return _position(by_seed[seed], seed, attempt)

    return replace(density, candidate=candidate, spread=None)


def _position(start: Start, seed: int, attempt: int) -> NDArray[np.float64]:
    values = start((seed + attempt) % 2**64)
    return np.concatenate([value.ravel() for value in values], dtype=np.float64)


def _start(model: pm.Model, initvals: Mapping[Any, Any]) -> Start:
    free = {variable.name: variable for variable in model.free_RVs}
    values: dict[Variable, object] = {}
    unknown = []
    for key, value in initvals.items():
        name = getattr(key, "name", key)
        is_transformed = isinstance(name, str) and name not in free and is_transformed_name(name)
        variable = free.get(get_untransformed_name(name) if is_transformed else name)
        if variable is None:
            unknown.append(str(name))
        elif isinstance(value, str):
            values[variable] = _strategy(name, value)
        elif is_transformed:
            values[variable] = model.rvs_to_transforms[variable].backward(
                _number(name, value, variable.dtype), *variable.owner.inputs
            )
        else:
            values[variable] = _number(name, value, variable.dtype)
    if unknown:
        raise ValueError(
            f"`initvals` must name free variables, got {listed(unknown)}.\n"
            f"Hint: `model` has {listed(list(free))}."
        )
    _check_shapes(model, values)
    return start_from_values(model, values)


def _strategy(name: str, value: str) -> str:
    if value not in _STRATEGIES:
        raise ValueError(
            f"`initvals` of {name!r} must be a number, an array or one of {_STRATEGIES}, got "
            f"{value!r}.\nHint: pass the value that the variable starts with."
        )
    return value


def _number(name: str, value: object, dtype: str) -> NDArray[np.generic]:
    try:
        array = np.asarray(value, dtype)
    except (TypeError, ValueError):
        raise TypeError(
            f"`initvals` of {name!r} must be a number or an array, got {type_text(value)}.\n"
            "Hint: pass the value that the variable starts with."
        ) from None
    if not np.isfinite(array).all():
        raise ValueError(
            f"`initvals` of {name!r} must be finite, got {value!r}.\n"
            "Hint: pass a value at which the model has a density."
        )
    return array


def _check_shapes(model: pm.Model, values: Mapping[Variable, object]) -> None:
    """Check that numbers have the shapes of their variables."""
    shapes = {
        name: tuple(map(int, shape))
        for name, shape in model.eval_rv_shapes().items()
        if not is_transformed_name(name)
    }
    for variable, value in values.items():
        if isinstance(value, np.ndarray) and value.shape != (wanted := shapes[variable.name]):
            raise ValueError(
                f"`initvals` of {variable.name!r} must have the shape {wanted}, got {value.shape}."
                "\nHint: numpy.full fills a shape with one number."
            )
