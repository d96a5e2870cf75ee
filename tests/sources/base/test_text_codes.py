from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sources.base.field import Field
from bayou.sources.base.text_codes import (
    as_texts,
    distinct_texts,
    encode,
    from_objects,
    is_text,
    look_up,
)

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=3)))


@given(TEXTS)
def test_codes_stand_for_the_texts_in_their_order(words: list[str | None]) -> None:
    field, codes = encode("w", pa.array(words, pa.string()))
    assert field.name == "w"
    assert field.dtype == codes.dtype == np.int32
    assert field.categories == tuple(sorted({word for word in words if word is not None}))
    assert [None if code < 0 else field.categories[code] for code in codes] == words


@given(TEXTS, st.lists(st.text(max_size=3), unique=True))
def test_texts_are_looked_up(words: list[str | None], table: list[str]) -> None:
    codes = look_up(pa.array(words, pa.large_string()), table, -2)
    assert codes.dtype == np.int32
    assert codes.tolist() == [table.index(word) if word in table else -2 for word in words]


@given(TEXTS)
def test_distinct_texts_are_sorted(words: list[str | None]) -> None:
    values = np.array([*words, None], dtype=object)[:-1]
    found = sorted({word for word in words if word is not None})
    assert distinct_texts(Field("w", np.dtype(object)), values) == found


def test_distinct_categories_are_those_that_are_used() -> None:
    field = Field("w", np.dtype(np.int32), (), ("a", "b", "c"))
    assert distinct_texts(field, np.array([2, -1, 0, 2], dtype=np.int32)) == ["a", "c"]


def test_objects_become_text() -> None:
    texts = as_texts("w", np.array(["a", None, np.nan], dtype=object))
    assert is_text(texts.type)
    assert texts.to_pylist() == ["a", None, None]
    assert is_text(as_texts("w", np.array([None], dtype=object)).type)


@pytest.mark.parametrize("values", [["a", 1], [1, 2], [b"a"], [{}]])
def test_what_is_no_text_is_refused(values: list[object]) -> None:
    message = (
        "^`w` must hold numbers, booleans, dates or text, and one kind of them, got .*\nHint: "
    )
    with pytest.raises(TypeError, match=message):
        as_texts("w", np.array(values, dtype=object))


def test_objects_of_several_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match="and one kind of them"):
        from_objects("w", np.array(["a", 1], dtype=object))
    masked = from_objects("w", np.array([1, 2], dtype=object), np.array([False, True]))
    assert masked.to_pylist() == [1, None]
