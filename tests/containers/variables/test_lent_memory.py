"""Memory that containers lend to a fit: which, for how long, and what is read again."""

from pathlib import Path

import numpy as np
import pytest

import bayou as by
from bayou.containers.variables.lent_memory import REMAINING_ROWS, lend_memory
from bayou.containers.variables.resident_rows import read_resident
from bayou.containers.variables.source_variable import SourceVariable, source_variable, window_of
from tests.containers.row_sources import ROW, parquet

SIZE = 400


def of_column(column: by.Column, size: int | None = SIZE) -> SourceVariable:
    return source_variable(read_resident(column, size, "`value`"), column.name)


@pytest.fixture
def columns(source: by.Source) -> tuple[by.Column, by.Column]:
    return source["row"], source["half"].astype(np.dtype(np.float64))


def test_memory_is_lent_and_the_rows_are_read_again(columns: tuple[by.Column, by.Column]) -> None:
    variables = [of_column(column) for column in columns]
    variables[0].update_shared()
    before = [variable.get_value() for variable in variables]
    with lend_memory(columns) as arrays:
        assert arrays is not None
        assert [len(array) for array in arrays] == [SIZE, SIZE]
        for variable, array, values in zip(variables, arrays, before, strict=True):
            assert window_of(variable).is_lent
            np.testing.assert_array_equal(variable.get_value(), values[:REMAINING_ROWS])
            assert not np.shares_memory(variable.get_value(borrow=True), array)
            array[:] = 7
        with lend_memory(columns) as again:
            assert again is None
    for variable, array, values in zip(variables, arrays, before, strict=True):
        np.testing.assert_array_equal(variable.get_value(), values)
        assert variable.get_value(borrow=True) is array
        assert not window_of(variable).is_lent


def test_a_value_that_was_set_meanwhile_stays(columns: tuple[by.Column, by.Column]) -> None:
    variables = [of_column(column) for column in columns]
    with lend_memory(columns):
        variables[0].set_value(np.arange(3))
    np.testing.assert_array_equal(variables[0].get_value(), [0, 1, 2])
    np.testing.assert_array_equal(variables[1].get_value(), ROW[:SIZE] / 2)


def test_nothing_is_lent_of_windows_that_differ(columns: tuple[by.Column, by.Column]) -> None:
    variables = [of_column(columns[0]), of_column(columns[1], 300)]
    with lend_memory(columns) as arrays:
        assert arrays is None
        assert [len(variable.get_value()) for variable in variables] == [SIZE, 300]


def test_nothing_is_lent_of_all_rows_or_without_containers(
    columns: tuple[by.Column, by.Column],
) -> None:
    complete = of_column(columns[0], None)
    for chosen in (columns[:1], columns[1:]):
        with lend_memory(chosen) as arrays:
            assert arrays is None
    np.testing.assert_array_equal(complete.get_value(), ROW)


MESSAGE = (
    r"^Containers of \['row'\] must read their 400 rows again, from row 0 on, after a fit used "
    r"their memory, got .*\nHint: they hold the first 400 of these rows now; build the containers "
)


def test_rows_that_cannot_be_read_again_are_a_warning(tmp_path: Path) -> None:
    column = parquet(tmp_path)["row"]
    variable = of_column(column)
    with pytest.warns(UserWarning, match=MESSAGE), lend_memory([column]):
        (tmp_path / "rows.parquet").unlink()
    np.testing.assert_array_equal(variable.get_value(), ROW[:SIZE])
    assert not window_of(variable).is_lent


def test_rows_that_cannot_be_read_again_are_a_note_of_an_error(tmp_path: Path) -> None:
    column = parquet(tmp_path)["row"]
    variable = of_column(column)
    with pytest.raises(KeyError) as caught, lend_memory([column]):  # noqa: PT012
        (tmp_path / "rows.parquet").unlink()
        raise KeyError
    [note] = caught.value.__notes__
    assert note.startswith("Containers of ['row'] must read their 400 rows again, from row 0 on")
    assert not window_of(variable).is_lent
