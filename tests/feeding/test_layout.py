from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.feeding import layout as module
from bayou.feeding.layout import ColumnLayout

ROWS = np.arange(10)


def test_fields_are_read_once_and_laid_out_by_column(row_source: Any) -> None:
    source = row_source([10])
    layout = ColumnLayout((source["x"], source[["z", "x"]], source["pixels"]))
    assert layout.source is source
    assert layout.names == ("x", "z", "pixels")
    assert layout.row_bytes == 8 + 16 + 24
    arrays = layout.empty(10)
    assert [array.shape for array in arrays] == [(10,), (10, 2), (10, 2, 3)]
    assert [array.dtype for array in arrays] == [np.float64, np.float64, np.float32]
    table = source.table(ROWS, layout.names)
    assert layout.check(table) == 10
    layout.write(table, arrays)
    np.testing.assert_array_equal(arrays[0], table["x"])
    np.testing.assert_array_equal(arrays[1], np.stack([table["z"], table["x"]], axis=1))
    np.testing.assert_array_equal(arrays[2], table["pixels"])


@given(num_rows=st.integers(0, 40), tile_bytes=st.integers(1, 400))
def test_tiles_of_any_size_hold_all_rows(num_rows: int, tile_bytes: int) -> None:
    source = by.source({"x": np.arange(50.0), "y": np.arange(50)})
    layout = ColumnLayout((source["x"], source["y"]))
    table = source.take(np.arange(num_rows), layout.names)
    arrays = layout.empty(num_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE_BYTES", tile_bytes)
        layout.write(table, arrays)
    for array, name in zip(arrays, layout.names, strict=True):
        np.testing.assert_array_equal(array, table[name])


@pytest.mark.parametrize(
    "values", [ROWS.astype(np.float32), ROWS[:, None].astype(float), ROWS[:9].astype(float)]
)
def test_tables_of_other_values_are_refused(row_source: Any, values: np.ndarray) -> None:
    source = row_source([10])
    layout = ColumnLayout((source["row"], source["x"]))
    table = source.table(ROWS, ["row"]) | {"x": values}
    with pytest.raises(ValueError, match=r"`source` must yield float64 of shape \(10,\) for field"):
        layout.check(table)


def test_columns_are_of_one_source_and_not_text(row_source: Any) -> None:
    with pytest.raises(ValueError, match="`columns` must hold at least one column, got none"):
        ColumnLayout(())
    with pytest.raises(ValueError, match="`columns` must be of one source, got columns of several"):
        ColumnLayout((row_source([10])["x"], row_source([10])["x"]))
    with pytest.raises(TypeError, match="got `name` of text"):
        ColumnLayout((row_source([10])["name"],))
