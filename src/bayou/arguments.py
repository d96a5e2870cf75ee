"""Checks of the arguments that many public calls share."""

from __future__ import annotations

from typing import Any

import numpy as np


def whole_number(name: str, value: Any, least: int, hint: str) -> int:
    """Return ``value`` as an int, if it is a whole number of at least ``least``.

    Raises
    ------
    ValueError
        If it is not.
    """
    if (
        isinstance(value, bool | np.bool)
        or not isinstance(value, int | np.integer)
        or value < least
    ):
        raise ValueError(
            f"`{name}` must be a whole number of at least {least}, got {value!r}.\nHint: {hint}"
        )
    return int(value)
