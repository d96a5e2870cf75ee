"""Codes of categories: the place of each word in the field's, whatever the dictionary's order."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sources.base.arrow_values import arrow_field, arrow_values

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
    with pytest.raises(
        ValueError, match=r"`x` must hold only the categories 'a', 'b', got 'z'.\nHint"
    ):
        arrow_values(column, arrow_field("x", column.type, ("a", "b")))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 4), st.integers(0, 2))
def test_lists_in_lists_are_the_shape_of_a_row(
    shape: list[int], num_rows: int, skipped: int
) -> None:
    array = np.arange((skipped + num_rows) * int(np.prod(shape))).reshape(-1, *shape)
    column = pa.array(array.ravel())
    for length in reversed(shape):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    values, null = arrow_values(column.slice(skipped), arrow_field("x", column.type))
    np.testing.assert_array_equal(values, array[skipped:], strict=True)
    assert null is None


def test_nulls_in_lists_of_lists_are_of_their_rows() -> None:
    kind = pa.list_(pa.list_(pa.int64(), 2), 2)
    column = pa.array([[[1, 2], [3, 4]], [[5, None], [7, 8]], [[1, 1], [2, 2]]], kind)
    values, null = arrow_values(column, arrow_field("x", kind))
    assert null is not None
    assert null.tolist() == [False, True, False]
    assert values[[0, 2]].tolist() == [[[1, 2], [3, 4]], [[1, 1], [2, 2]]]
