import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayou.text import digest, listed


@given(st.lists(st.integers(), max_size=30), st.integers(1, 25))
def test_list_shows_the_first_items_and_counts_the_rest(items: list[int], most: int) -> None:
    shown = listed(items, most).split(", ")
    assert shown[:most] == [repr(item) for item in items[:most]] or not items
    rest = len(items) - most
    assert shown[most:] == ([f"and {rest} more"] if rest > 0 else [])


def test_items_are_written_by_their_representation_or_as_asked() -> None:
    assert listed({"a": 1, "b": 2}) == "'a', 'b'"
    assert listed(["a", "b", "c"], 1, str) == "a, and 2 more"
    assert listed(np.array([1, 2]).tolist(), form="{:.1f}".format) == "1.0, 2.0"
    assert listed([]) == ""


# Saved fits and folders of results hold digests.
def test_digests_never_change() -> None:
    assert digest("rows") == "bc51e9e65d79e1c90ba544ab2eae1044"
    assert digest() == hashlib.sha256().hexdigest()[:32]


@given(st.lists(st.text(), max_size=4))
def test_parts_are_joined_by_line_breaks(parts: list[str]) -> None:
    assert digest(*parts) == digest("\n".join(parts))
    assert digest(*(part.encode() for part in parts)) == digest(*parts)
