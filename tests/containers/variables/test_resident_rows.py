"""Rows of a source in memory: how many are read, in which dtype, and what is refused."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest

import bayou as by
from bayou.containers.variables import resident_rows as resident
from bayou.containers.variables.resident_rows import (
    Resident,
    as_column,
    read_resident,
    register,
    registered,
    registered_of,
    replace_rows,
)
from bayou.containers.variables.source_variable import source_variable, window_of
from tests.containers.row_sources import ROW, Blocks, parquet


def test_all_rows_are_in_memory_where_there_is_room(source: by.Source) -> None:
    batch = by.Minibatch(source["row"], 10)
    np.testing.assert_array_equal(batch.shared.get_value(), ROW)
    assert batch.eval().shape == (10,)
    assert window_of(batch.shared) is None
    batch.update_shared()  # Nothing is left to go on to.
    np.testing.assert_array_equal(batch.shared.get_value(), ROW)


def test_floats_are_cast_and_whole_numbers_are_not(source: by.Source) -> None:
    assert by.Minibatch(source["half"], 10).dtype == "float64"
    assert by.Minibatch(source["row"], 10).dtype == "int64"
    assert by.Minibatch(source["row"], 10, dtype="float32").dtype == "float32"
    matrix = by.Minibatch(source[["half", "row"]], 10)
    assert matrix.eval().shape == (10, 2)
    np.testing.assert_array_equal(matrix.shared.get_value(), np.column_stack([ROW / 2, ROW]))


def test_a_source_is_all_of_its_fields(tmp_path: Path) -> None:
    batch = by.Minibatch(parquet(tmp_path), 5)
    np.testing.assert_array_equal(batch.shared.get_value(), np.column_stack([ROW, ROW / 2]))
    plain = by.Minibatch(Blocks(), 5)
    np.testing.assert_array_equal(plain.shared.get_value(), np.column_stack([ROW, ROW / 2]))
    assert by.Minibatch(by.source(ROW), 5).ndim == 1


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_wrong_sizes(source: by.Source, size: Any) -> None:
    with pytest.raises(
        ValueError, match=r"`in_memory_size` must .*\nHint: it is the number of rows"
    ):
        by.Minibatch(source["row"], 10, in_memory_size=size)


def test_more_rows_than_there_are_is_all_of_them(source: by.Source) -> None:
    batch = by.Minibatch(source["row"], 10, in_memory_size=10**6)
    np.testing.assert_array_equal(batch.shared.get_value(), ROW)


def test_a_window_is_sampled_by_rows(source: by.Source) -> None:
    matrix = source[["row", "half"]]
    assert by.Minibatch(matrix, [10, 1]).eval().shape == (10, 1)
    with pytest.raises(ValueError, match=r"`batch_size` must be a number of rows .*\nHint: sample"):
        by.Minibatch(matrix, [10, 1], in_memory_size=400)


def test_memory_that_is_not_free(monkeypatch: pytest.MonkeyPatch, source: by.Source) -> None:
    monkeypatch.setattr(resident, "default_window", lambda source, names: 500)
    monkeypatch.setattr(resident, "WINDOW_BYTES", 200 * 8)
    np.testing.assert_array_equal(by.Minibatch(source["row"], 10).shared.get_value(), ROW[:200])


def test_values_that_no_model_takes() -> None:
    text = by.source({"name": np.array(["a", "b"], dtype=object), "y": np.array([1.0, np.nan])})
    with pytest.raises(TypeError, match=r"`name` of text"):
        by.Minibatch(text["name"], 1)
    with pytest.raises(
        ValueError, match=r"`data` of minibatch 'Minibatch' must hold no missing .* 'y', row 1 of"
    ):
        by.Minibatch(text["y"], 1)
    days = by.source({"day": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[s]")})
    with pytest.raises(TypeError, match=r"must be numbers or booleans, got datetime64.*\nHint: ch"):
        by.Minibatch(days["day"], 1)
    with pm.Model(), pytest.raises(ValueError, match=r"`in_memory_size` must come with a source"):
        by.Data("x", [1.0, 2.0], in_memory_size=1)


def test_data_that_change_under_way() -> None:
    class Shrinking(Blocks):
        def read(self, block: int, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
            for table in super().read(block, names):
                yield {name: values[:-1] for name, values in table.items()}

    with pytest.raises(ValueError, match=r"`source` must yield 1000 rows, got fewer.\nHint: the d"):
        by.Minibatch(by.source(Shrinking())["row"], 10)


def test_a_window_starts_where_others_of_its_size_are(
    source: by.Source, collect_garbage: Callable[[], object]
) -> None:
    first = source_variable(read_resident(source["row"], 300, "`value`"), "first")
    first.update_shared()
    assert read_resident(source["half"], 300, "`value`").start == 300
    assert read_resident(source["half"], 200, "`value`").start == 0
    del first
    collect_garbage()
    assert read_resident(source["half"], 300, "`value`").start == 0


def test_the_register_knows_a_value_until_it_is_set(source: by.Source) -> None:
    resident = read_resident(source["row"], 300, "`value`")
    variable = pytensor.shared(resident.array, borrow=True)
    assert registered(variable.container) is None
    register(variable.container, resident)
    assert registered(variable.container) is resident
    assert [rows for _, rows in registered_of(resident.column.source)] == [resident]
    variable.set_value(ROW)
    assert registered(variable.container) is None
    assert registered_of(resident.column.source) == []


def test_pickles_of_old_names_load(source: by.Source) -> None:
    resident = read_resident(by.source({"row": ROW})["row"], 300, "`value`")
    state = {**vars(resident), "given": 300}
    del state["requested_size"]
    old = Resident.__new__(Resident)
    old.__setstate__(state)
    assert vars(old) == vars(resident)


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "floats"), ("int64", "integers")])
def test_columns_are_cast(dtype: str, kind: str) -> None:
    column = by.source({"v": np.arange(3, dtype=dtype)})["v"]
    expected = pytensor.config.floatX if kind == "floats" else dtype
    assert as_column(column).dtype == expected
    assert as_column(column, "float64").dtype == np.float64
    assert as_column(np.ones(3)) is None


def test_pytensor_keeps_a_value_in_a_container_that_clones_share() -> None:
    variable = pytensor.shared(np.zeros(2))
    clone = variable.clone()
    assert clone.container is variable.container
    assert variable.container.storage[0] is variable.get_value(borrow=True)
    variable.container.storage[0] = np.ones(3)
    assert clone.get_value().tolist() == [1, 1, 1]


def test_rows_are_replaced_without_a_copy(source: by.Source) -> None:
    resident = read_resident(source["row"], 300, "`value`")
    variable = source_variable(resident, "rows")
    array = ROW[5:10]
    replace_rows(variable.container, resident, 5, array)
    assert variable.get_value(borrow=True) is array
    assert (resident.start, resident.size) == (5, 5)
    assert registered(variable.container) is resident
