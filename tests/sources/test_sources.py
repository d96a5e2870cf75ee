"""One suite over all kinds of sources."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import bayou.sources as by
from bayou import shuffle
from bayou.testing import check_source

NUM_ROWS = 1000


def values(source: by.Source, name: str) -> np.ndarray:
    blocks = range(len(source.blocks))
    return np.concatenate([table[name] for block in blocks for table in source.read(block, [name])])


def test_source_keeps_the_contract(implementation: Any, opened: by.Source) -> None:
    check_source(opened, pickles=implementation.pickles)


def test_values_are_those_that_are_stored(opened: by.Source, expected: dict[str, Any]) -> None:
    for name, field in opened.fields.items():
        read = values(opened, name)
        np.testing.assert_array_equal(read, expected[name])
        kind = expected[name].dtype
        assert field.dtype == kind or (field.dtype.kind, kind.kind) == ("M", "M")
        assert field.shape == expected[name].shape[1:]


def test_categories_are_what_the_codes_stand_for(opened: by.Source) -> None:
    categories = {name: field.categories for name, field in opened.fields.items()}
    assert categories.pop("carrier", ("AA", "DL", "UA")) == ("AA", "DL", "UA")
    assert set(categories.values()) <= {None}


def test_random_access_and_number_of_rows(implementation: Any, opened: by.Source) -> None:
    assert opened.random_access == implementation.random_access
    assert opened.num_rows == implementation.num_rows
    assert opened.num_dropped == 0


@settings(max_examples=25)
@given(data=st.data())
def test_take_equals_slicing(opened: by.Source, expected: dict[str, Any], data: Any) -> None:
    rows = st.lists(st.integers(0, NUM_ROWS - 1), max_size=40)
    wanted = np.array(data.draw(rows), dtype=np.int64)
    names = data.draw(st.permutations(list(opened.fields)))[: data.draw(st.integers(1, 3))]
    taken = opened.take(wanted, names)
    assert list(taken) == names
    for name in names:
        np.testing.assert_array_equal(taken[name], expected[name][wanted])


def test_columns_are_of_the_rows_of_the_source(opened: by.Source, expected: dict[str, Any]) -> None:
    numbers = [name for name in ("x", "count", "small", "late") if name in opened.fields]
    if numbers:
        matrix = opened[numbers]
        assert matrix.num_rows == opened.num_rows
        rows = np.array([7, 999, 7])
        array = matrix.array(opened.take(rows, matrix.names))
        assert array.shape == (3, *matrix.shape) == (3, len(numbers))
        assert array.dtype == matrix.dtype == np.float64
        np.testing.assert_array_equal(array, np.stack([expected[n][rows] for n in numbers], 1))


def test_classes_that_functions_return_are_public(tmp_path: Path) -> None:
    rows = by.sql("SELECT 1 AS x", duckdb.connect)
    assert type(rows) is by.SqlSource
    assert type(shuffle(rows, tmp_path / "rows", progressbar=False)) is by.Store
    assert {"SqlSource", "Store"} < {*by.__all__}
