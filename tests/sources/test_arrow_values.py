"""Codes of categories: the place of each word in the field's, whatever the dictionary's order."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sources.arrow_values import arrow_field, arrow_values

WORDS = st.lists(st.sampled_from("abcde"), unique=True)
KINDS = [pa.string(), pa.large_string(), pa.int16(), pa.float64(), pa.bool_(), pa.date32()]


@given(WORDS, st.lists(st.none() | st.sampled_from("abcde")), st.booleans())
def test_codes_stand_for_the_words(more: list[str], words: list[str | None], null: bool) -> None:
    table = [*dict.fromkeys(word for word in words if word is not None)]
    # A row is null by its index, or by what the dictionary holds there.
    dictionary = pa.array([*table, None] if null else table, pa.string())
    missing = len(table) if null else None
    indices = [missing if word is None else table.index(word) for word in words]
    column = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), dictionary)
    categories = tuple(dict.fromkeys([*more, *table]))
    codes, is_null = arrow_values(column, arrow_field("x", column.type, categories))
    assert codes.dtype == np.int32
    assert is_null is not None
    found = [None if code < 0 else categories[code] for code in codes]
    assert found == words
    assert is_null.tolist() == [word is None for word in words]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_words_are_what_values_are_written_as(kind: Any, turned: bool) -> None:
    values = pa.array([0, 1], pa.int32()).cast(kind)
    column = values.take(pa.array([1, 0, 1])).dictionary_encode()
    categories = tuple(map(str, values.to_pylist()))[:: -1 if turned else 1]
    codes, _ = arrow_values(column, arrow_field("x", column.type, categories))
    assert [categories[code] for code in codes] == [str(values[at].as_py()) for at in (1, 0, 1)]


def test_a_word_that_is_no_category() -> None:
    column = pa.array(["a", None, "z"]).dictionary_encode()
    with pytest.raises(ValueError, match=r"`x` must be of the categories 'a', 'b', got 'z'.\nHint"):
        arrow_values(column, arrow_field("x", column.type, ("a", "b")))
