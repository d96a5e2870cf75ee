"""Checks of the arguments that many public calls share."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

type RandomSeed = int | Sequence[int] | np.ndarray | np.random.Generator | np.random.RandomState
"""A seed as PyMC takes it: a number, several, or a generator that a number is drawn from."""

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def whole_number(name: str, value: object, least: int, hint: str) -> int:
    """Return ``value`` as an int, if it is a whole number of at least ``least``.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not _is_whole(value) or value < least:
        raise ValueError(
            f"`{name}` must be a whole number of at least {least}, got {value!r}.\nHint: {hint}"
        )
    return int(value)


def first_unusable_weight(weights: np.ndarray) -> int | None:
    """Return the number of the first weight that is below 0 or not finite; None without one.

    Examples
    --------
    >>> first_unusable_weight(np.array([1.0, np.nan, -1.0]))
    1
    """
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    return int(wrong.argmax()) if wrong.any() else None


def check_flag(name: str, value: object, hint: str) -> None:
    """Check that a value is True or False.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False, got {value!r}.\nHint: {hint}")


def check_progressbar(value: object) -> None:
    """Check the argument `progressbar`.

    Raises
    ------
    ValueError
        If it is neither True nor False.
    """
    check_flag("progressbar", value, "progressbar=False shows no bar.")


def path_of(name: str, value: object) -> Path:
    """Return ``value`` as a Path, if it is a str or a path.

    Raises
    ------
    TypeError
        If it is neither.
    """
    # os.fspath of an os.PathLike may be bytes, which pathlib does not take.
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(
            f"`{name}` must be a path, got {value!r}.\nHint: pass a str or a pathlib.Path."
        )
    return Path(value)


def seed_number(random_seed: RandomSeed | None) -> int | None:
    """Return the whole number that a seed stands for.

    Parameters
    ----------
    random_seed : int, sequence of int, numpy.random.Generator, RandomState or None
        The seed that a user passed. A generator advances by one draw.

    Returns
    -------
    int or None
        An int as it is, None for None. A sequence gives one number of 64 bits, by
        :class:`numpy.random.SeedSequence`. A generator gives one of 63 bits.

    Raises
    ------
    ValueError
        If it is none of these, a number is below 0, or a sequence is empty.

    Examples
    --------
    >>> seed_number(7)
    7
    >>> seed_number([1, 2]) == seed_number(np.array([1, 2]))
    True
    """
    seed: object = random_seed
    match seed:
        case None:
            return None
        case np.random.Generator():
            return int(seed.integers(2**63))
        case np.random.RandomState():
            return int(seed.randint(2**63, dtype=np.int64))
        case np.ndarray() if seed.ndim == 0:
            return seed_number(seed.item())
        case str() | bytes():
            pass
        case Sequence() | np.ndarray():
            numbers = [int(value) for value in seed if _is_whole(value) and value >= 0]
            if numbers and len(numbers) == len(seed):
                # The length goes in, since SeedSequence takes [1] and [1, 0] for the same.
                return int(
                    np.random.SeedSequence([len(numbers), *numbers]).generate_state(1, np.uint64)[0]
                )
        case _ if _is_whole(seed) and seed >= 0:
            return int(seed)
    raise ValueError(
        "`random_seed` must be None, a whole number of at least 0, a sequence of them or a NumPy "
        f"generator, got {seed!r}.\n"
        "Hint: pass a number, and the same one for the same result."
    )


def new_seed() -> int:
    """Return a seed of a run that was given none."""
    return int(np.random.default_rng().integers(2**63))


def memory_bytes(memory: int | str) -> int:
    """Return the number of bytes that the argument `memory` stands for.

    Raises
    ------
    ValueError
        If it is neither a number of bytes nor a text with a unit.

    Examples
    --------
    >>> memory_bytes("1.5 KiB")
    1536
    """
    hint = 'pass a number of bytes, or a text with its unit, such as "512 MiB" or "1000 B".'
    if not isinstance(memory, str):
        return whole_number("memory", memory, 1, hint)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?|)B\s*", memory)
    num_bytes = int(float(match[1]) * UNITS[match[2]]) if match else 0
    if num_bytes < 1:
        raise ValueError(f"`memory` must be a size in bytes, got {memory!r}.\nHint: {hint}")
    return num_bytes


def _is_whole(value: object) -> TypeGuard[int | np.integer]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
