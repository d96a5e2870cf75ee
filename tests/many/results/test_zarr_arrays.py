"""Zarr arrays that grow: the values of all data sets, in chunks of few MiB, and labels that fit."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from bayou.many.results import zarr_arrays
from bayou.many.results.stacked import join_padded
from bayou.many.results.zarr_arrays import array_shapes, write_labels, write_rows

DIMS = ("dataset", "chain", "draw", "row")


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4))
def test_rows_are_written_after_one_another(shapes: list[tuple[int, int]]) -> None:
    group, begin, parts = zarr.create_group(MemoryStore()), 0, []
    for number, rows in shapes:
        part = np.random.default_rng(begin).normal(size=(number, 1, 2, rows))
        grid = write_rows(group, "mean", xr.Variable(DIMS, part), begin)
        # The chunks along the other axes are those of the first data sets.
        assert grid == [1, 1, -(-max(rows for _, rows in shapes[: len(parts) + 1]) // shapes[0][1])]
        begin += number
        parts.append(part)
    np.testing.assert_array_equal(group["mean"][:], join_padded(parts))
    shape = array_shapes(group)["mean"]
    assert (shape.dims, shape.shape) == (DIMS, group["mean"].shape)


def test_what_a_killed_process_wrote_is_overwritten() -> None:
    group = zarr.create_group(MemoryStore())
    write_rows(group, "mean", xr.Variable(DIMS, np.ones((1, 1, 1, 4))), 0)
    write_rows(group, "mean", xr.Variable(DIMS, np.zeros((1, 1, 1, 2))), 0)
    np.testing.assert_array_equal(group["mean"][0, 0, 0], [0, 0, np.nan, np.nan])


def test_chunks_have_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_arrays, "CHUNK_BYTES", 8 * 100)
    group = zarr.create_group(MemoryStore())
    write_rows(group, "draws", xr.Variable(DIMS, np.ones((4, 1, 10, 3))), 0)
    assert group["draws"].chunks == (3, 1, 10, 3)
    write_rows(group, "long", xr.Variable(DIMS, np.ones((1, 1, 1000, 1))), 0)
    assert group["long"].chunks == (1, 1, 1000, 1)
    keys = np.array(["a", "b"], dtype=object)
    write_rows(group, "dataset", xr.Variable(("dataset",), keys), 0)
    assert group["dataset"].chunks == (zarr_arrays.COLUMN_CHUNK,)
    assert group["dataset"][:].tolist() == ["a", "b"]


def test_labels_are_written_and_deleted(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "labels.zarr")
    write_labels(group, {"row": ["x", "y"], "draw": np.arange(2)})
    assert group["row"][:].tolist() == ["x", "y"]
    assert group["draw"].dtype == np.int64
    write_labels(group, {"draw": np.arange(2)})
    assert "row" not in group
