"""The checks of what :func:`bayou.fit` is told, before anything is built."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayou.arguments import whole_number
from bayou.sampling.order import ORDERS
from bayou.sampling.stratified import Stratified
from bayou.sampling.weighted import Weighted


def check_options(
    *,
    num_particles: Any,
    optimizer: Any,
    order: Any,
    correction: Any,
    tolerance: Any,
    callback: Any,
    checkpoint: Any,
    resume: Any,
    random_seed: Any,
) -> None:
    """Refuse options of :func:`bayou.fit` that are out of range, whatever the model.

    Raises
    ------
    TypeError
        If the optimiser or the callback is none.
    ValueError
        If anything else is out of range.
    """
    whole_number("num_particles", num_particles, 1, "it counts draws of the guide in a step.")
    if not isinstance(order, Weighted | Stratified):
        _check_choice("order", order, tuple(ORDERS), "or pass a by.Weighted or by.Stratified.")
    _check_choice(
        "correction", correction, ("auto", "linear_response", None), "None leaves it out."
    )
    if not isinstance(tolerance, float | int) or not 0 < tolerance < np.inf:
        raise ValueError(
            f"`tolerance` must be positive, got {tolerance!r}.\n"
            "Hint: 0.1 stands for a tenth of a standard deviation."
        )
    if optimizer is not None and not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"`optimizer` must be an optax transformation, got {optimizer!r}.\n"
            "Hint: pass a made one, such as optax.adam(0.01)."
        )
    if callback is not None and not callable(callback):
        raise TypeError(
            f"`callback` must be callable, got {callback!r}.\n"
            "Hint: pass a function of the number of steps and their losses."
        )
    if resume and checkpoint is None:
        raise ValueError(
            "`resume` must come with `checkpoint`, got resume=True alone.\n"
            "Hint: pass the path of the checkpoint to go on from."
        )
    if random_seed is not None:
        whole_number("random_seed", random_seed, 0, "any whole number will do.")


def _check_choice(name: str, value: Any, choices: tuple[Any, ...], hint: str) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}, got {value!r}.\nHint: {hint}")
