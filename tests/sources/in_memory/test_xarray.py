"""Datasets: their variables, and those that stay in files."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

import bayou.sources as by


def dataset(**more: object) -> xr.Dataset:
    return xr.Dataset({"x": ("row", np.arange(10.0)), "y": ("row", np.arange(10)), **more})


def test_an_array_without_a_name_is_the_field_value() -> None:
    array = xr.DataArray(np.zeros((4, 2)))
    assert by.source(array)["value"].shape == (2,)
    assert list(by.source(array.rename("depth")).fields) == ["depth"]


def test_coordinates_are_no_fields() -> None:
    held = dataset().assign_coords(row=np.arange(10))
    assert list(by.source(held).fields) == ["x", "y"]
    assert list(by.source(held.reset_index("row").reset_coords()).fields) == ["x", "y", "row"]


@pytest.mark.parametrize(
    ("more", "of"), [(("part", np.zeros(3)), r"\('part',\)"), (((), 1.0), r"\(\)")]
)
def test_variables_must_share_their_first_dimension(more: object, of: str) -> None:
    wrong = rf"first dimension, the row, got `x` of \('row',\), .*, `z` of {of}\.\nHint: transpose"
    with pytest.raises(ValueError, match=wrong):
        by.source(dataset(z=more))


def test_nothing_in_it() -> None:
    with pytest.raises(ValueError, match=r"got no fields\."):
        by.source(xr.Dataset())
    with pytest.raises(ValueError, match=r"got no rows\."):
        by.source(dataset().isel(row=slice(0)))


def test_a_dataset_in_a_file_stays_there(tmp_path: Path) -> None:
    dataset().to_netcdf(tmp_path / "rows.nc", engine="scipy")
    opened = xr.open_dataset(tmp_path / "rows.nc", engine="scipy")
    source = by.source(opened)
    assert not source.random_access
    assert source.take(np.array([9, 0]), ["y"])["y"].tolist() == [9, 0]
    # What is private in xarray: were it to change, all would be loaded, or none be taken at random.
    assert [opened[name].variable._in_memory for name in ("x", "y")] == [False, False]
    assert by.source(opened.load()).random_access
    opened.close()


def test_chunks_of_a_file_are_the_blocks(tmp_path: Path) -> None:
    made = zarr.create_group(str(tmp_path / "x.zarr"), zarr_format=2)
    for name, chunk in (("x", 3), ("y", 4)):
        array = made.create_array(name, data=np.arange(10), chunks=(chunk,))
        array.attrs["_ARRAY_DIMENSIONS"] = ["row"]
    opened = xr.open_zarr(tmp_path / "x.zarr", chunks=None, consolidated=False)
    source = by.source(opened)
    assert source.blocks == (4, 4, 2)
    with pytest.raises(ValueError, match=r'`nulls` must be "refuse" for a dataset .* got "drop"\.'):
        by.source(opened, nulls="drop")


def test_nulls() -> None:
    held = dataset(s=("row", np.array([None, *"abcdefghi"], dtype=object)))
    with pytest.raises(ValueError, match=r"`s` must have no nulls, got one in row 0\."):
        by.source(held)
    assert by.source(held, nulls="drop").num_rows == 9
