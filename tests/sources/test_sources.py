"""One suite over all kinds of sources."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import bayou.sources as by
from bayou.testing import check_source

NUM_ROWS = 1000


def values(source: by.Source, name: str) -> np.ndarray:
    blocks = range(len(source.blocks))
    return np.concatenate([table[name] for block in blocks for table in source.read(block, [name])])


def test_source_keeps_the_contract(implementation: Any, made: by.Source) -> None:
    check_source(made, pickles=implementation.pickles)


def test_values_are_those_that_are_stored(made: by.Source, expected: dict[str, Any]) -> None:
    for name, field in made.fields.items():
        read = values(made, name)
        np.testing.assert_array_equal(read, expected[name])
        kind = expected[name].dtype
        assert field.dtype == kind or (field.dtype.kind, kind.kind) == ("M", "M")
        assert field.shape == expected[name].shape[1:]


def test_categories_are_what_the_codes_stand_for(made: by.Source) -> None:
    categories = {name: field.categories for name, field in made.fields.items()}
    assert categories.pop("carrier", ("AA", "DL", "UA")) == ("AA", "DL", "UA")
    assert set(categories.values()) <= {None}


def test_random_access_and_number_of_rows(implementation: Any, made: by.Source) -> None:
    assert made.random_access == implementation.random_access
    assert made.num_rows == implementation.num_rows
    assert made.num_dropped == 0


@settings(max_examples=25)
@given(data=st.data())
def test_take_equals_slicing(made: by.Source, expected: dict[str, Any], data: Any) -> None:
    rows = st.lists(st.integers(0, NUM_ROWS - 1), max_size=40)
    wanted = np.array(data.draw(rows), dtype=np.int64)
    names = data.draw(st.permutations(list(made.fields)))[: data.draw(st.integers(1, 3))]
    taken = made.take(wanted, names)
    assert list(taken) == names
    for name in names:
        np.testing.assert_array_equal(taken[name], expected[name][wanted])


def test_columns_are_of_the_rows_of_the_source(made: by.Source, expected: dict[str, Any]) -> None:
    numbers = [name for name in ("x", "count", "small", "late") if name in made.fields]
    if numbers:
        matrix = made[numbers]
        assert matrix.num_rows == made.num_rows
        rows = np.array([7, 999, 7])
        array = matrix.array(made.take(rows, matrix.names))
        assert array.shape == (3, *matrix.shape) == (3, len(numbers))
        assert array.dtype == matrix.dtype == np.float64
        np.testing.assert_array_equal(array, np.stack([expected[n][rows] for n in numbers], 1))
