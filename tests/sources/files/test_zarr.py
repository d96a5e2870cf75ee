"""Zarr: groups, single arrays, chunks as blocks."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import bayou.sources as by
from bayou.errors import SourceError


def group(path: Path, **arrays: np.ndarray) -> Path:
    made = zarr.create_group(str(path))
    for name, values in arrays.items():
        made.create_array(name, data=values, chunks=tuple(min(4, size) for size in values.shape))
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_of_the_format_are_known_by_their_files(tmp_path: Path, version: int) -> None:
    made = zarr.create_group(str(tmp_path / "rows"), zarr_format=version)
    made.create_array("x", data=np.arange(10.0), chunks=(4,))
    assert by.scan(tmp_path / "rows").blocks == (4, 4, 2)


def test_an_array_is_the_field_value(tmp_path: Path) -> None:
    array = zarr.create_array(str(tmp_path / "x.zarr"), data=np.zeros((10, 3)), chunks=(5, 3))
    for source in (by.scan(tmp_path / "x.zarr"), by.source(array)):
        assert source["value"].shape == (3,)
        assert source.blocks == (5, 5)


def test_the_largest_chunks_are_the_blocks(tmp_path: Path) -> None:
    made = zarr.create_group(str(tmp_path / "x.zarr"))
    made.create_array("x", data=np.arange(10), chunks=(2,))
    made.create_array("y", data=np.arange(10), chunks=(6,))
    source = by.source(made)
    assert source.blocks == (6, 4)
    assert next(source.read(1, ["x", "y"]))["x"].tolist() == [6, 7, 8, 9]


def test_columns_are_chosen_before_their_lengths_count(tmp_path: Path) -> None:
    path = group(tmp_path / "x.zarr", x=np.zeros(8), y=np.zeros(8), labels=np.zeros(2))
    with pytest.raises(ValueError, match=r"same number of rows, got 2 of `labels` and 8 of `x`\."):
        by.scan(path)
    assert list(by.scan(path, columns=["y", "x"]).fields) == ["y", "x"]
    with pytest.raises(ValueError, match=r"a field of the source, got 'z'\.\nHint: The fields are"):
        by.scan(path, columns=["z"])


def test_several_are_one_table(tmp_path: Path) -> None:
    for number in range(2):
        group(tmp_path / f"{number}.zarr", x=np.arange(5) + 5 * number)
    source = by.scan(tmp_path / "*.zarr")
    assert source.blocks == [4, 1, 4, 1]
    assert source.take(np.array([9, 0, 5]), ["x"])["x"].tolist() == [9, 0, 5]


def test_a_filesystem_of_fsspec() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    store = zarr.storage.FsspecStore.from_mapper(memory.get_mapper("rows.zarr"))
    zarr.create_group(store).create_array("x", data=np.arange(10), chunks=(4,))
    assert by.scan("rows.zarr", filesystem=memory).take(np.array([9]), ["x"])["x"].tolist() == [9]


@pytest.mark.parametrize(
    ("arrays", "nothing"), [({}, "no fields"), ({"x": np.zeros((0, 2))}, "no rows")]
)
def test_nothing_in_it(tmp_path: Path, arrays: dict[str, np.ndarray], nothing: str) -> None:
    made = zarr.create_group(str(tmp_path / "x.zarr"))
    for name, values in arrays.items():
        made.create_array(name, data=values)
    with pytest.raises(ValueError, match=rf"at least one field and one row, got {nothing}\."):
        by.source(made)


def test_text_is_listed(tmp_path: Path) -> None:
    source = by.scan(group(tmp_path / "x.zarr", s=np.array(["a", "bc"]), x=np.zeros(2)))
    assert source.fields["s"].dtype == np.dtype(object)
    assert next(source.read(0, ["s"]))["s"].tolist() == ["a", "bc"]


def test_zarr_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = group(tmp_path / "x.zarr", x=np.zeros(2))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r'not installed\.\nHint: pip install "bayou\[zarr\]"'):
        by.scan(path)


@pytest.mark.parametrize("damage", [b"junk", b""])
def test_a_damaged_chunk(tmp_path: Path, damage: bytes) -> None:
    source = by.scan(group(tmp_path / "rows.zarr", x=np.arange(10.0), y=np.arange(10)))
    (tmp_path / "rows.zarr" / "x" / "c" / "1").write_bytes(damage)
    with pytest.raises(
        SourceError,
        match=r"/x` must be readable, got an error in its rows 4 to 7: .*\nHint: it is da",
    ):
        list(source.read(1, ["x"]))
    assert next(source.read(1, ["y"]))["y"].tolist() == [4, 5, 6, 7]


def test_damaged_metadata(tmp_path: Path) -> None:
    path = group(tmp_path / "rows.zarr", x=np.arange(10.0))
    (path / "zarr.json").write_text("{bad", encoding="utf-8")
    with pytest.raises(
        SourceError, match=r"rows.zarr` must be readable, got an error in its metadata"
    ):
        by.scan(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("values", "encoding", "attribute"),
    [
        ([0.5, 2], {"scale_factor": 0.5}, "'scale_factor' of xarray, 0.5"),
        ([1.0, np.nan], {"_FillValue": -9.0}, "'_FillValue' of xarray"),
        ([1.0, np.nan], {"dtype": "i2", "_FillValue": -9}, "'_FillValue' of xarray"),
        (np.array(["2020-01-01", "2020-01-03"], "M8[ns]"), {}, "'units' of xarray, 'days since"),
        (np.array([1, 2], "m8[s]").astype("m8[ns]"), {}, "'units' of xarray"),
    ],
)
def test_numbers_that_stand_for_others_are_refused(
    tmp_path: Path, version: int, values: Any, encoding: dict[str, Any], attribute: str
) -> None:
    path = tmp_path / "x.zarr"
    dataset = xr.Dataset({"v": ("row", np.asarray(values)), "plain": ("row", [0.5, np.nan])})
    dataset["n"] = "row", [0, 1]
    options = {"zarr_format": version, "consolidated": False, "encoding": {"v": encoding}}
    dataset.to_zarr(path, **options)
    message = rf"`v` must hold numbers that stand .*{attribute}.*\nHint: "
    with pytest.raises(ValueError, match=message):
        by.scan(path)
    table = by.scan(path, columns=["plain", "n"]).take(np.arange(2), ["plain", "n"])
    np.testing.assert_array_equal(table["plain"], [0.5, np.nan])
    np.testing.assert_array_equal(table["n"], [0, 1])
