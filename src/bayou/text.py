"""Short texts: lists of names for messages, and digests that tell contents apart."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


def listed(items: Collection[Any], most: int = 20) -> str:
    """List items for a message, the first ``most`` of them by their representation.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b', and 1 more"
    """
    shown = [repr(item) for item in list(items)[:most]]
    more = [f"and {len(items) - most} more"] if len(items) > most else []
    return ", ".join(shown + more)


def digest(text: str) -> str:
    """Return the first 128 bits of the SHA-256 of a text, as 32 hexadecimal digits.

    Examples
    --------
    >>> digest("rows")
    'bc51e9e65d79e1c90ba544ab2eae1044'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:32]
