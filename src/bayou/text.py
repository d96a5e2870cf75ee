"""Lists of names and types for messages, and digests that stand for contents."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


def listed[Item](
    items: Collection[Item], most: int = 20, form: Callable[[Item], str] = repr
) -> str:
    """List items for a message: the first ``most`` of them, and the number of the rest.

    Parameters
    ----------
    items : collection
        The items, such as names of columns. None of them gives the empty text.
    most : int, default 20
        The number of items that are written out.
    form : callable, default repr
        Writes one item.

    Returns
    -------
    str

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b', and 1 more"
    >>> listed([1, 2], form=str)
    '1, 2'
    """
    shown = [form(item) for item in islice(items, most)]
    rest = [f"and {len(items) - most} more"] if len(items) > most else []
    return ", ".join(shown + rest)


def type_text(data: object) -> str:
    """Return the name of the type of data with its article, for messages.

    Examples
    --------
    >>> type_text(3), type_text("x"), type_text(np.zeros(2))
    ('an int', 'a str', 'an ndarray')
    """
    name = type(data).__name__
    return f"{'an' if name[0] in 'aeioAEIO' or name == 'ndarray' else 'a'} {name}"


def digest(*parts: str | bytes) -> str:
    """Return the first 128 bits of the SHA-256 of texts, as 32 hexadecimal digits.

    These digests are stored in saved fits and result folders, so they may not change.

    Parameters
    ----------
    *parts : str or bytes
        The contents, joined by line breaks. A str is encoded as UTF-8.

    Returns
    -------
    str

    Examples
    --------
    >>> digest("rows")
    'bc51e9e65d79e1c90ba544ab2eae1044'
    """
    content = b"\n".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(content).hexdigest()[:32]
