"""A Zarr folder of results: what it holds after crashes, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from bayou.many.results import zarr_folder
from bayou.many.results.in_memory import InMemoryResults
from bayou.many.results.outcome import Failure, Outcome, ResultAxes
from bayou.many.results.zarr_folder import open_zarr_folder, recorded_setting
from tests.many.results.small_results import AXES, failed, outcome

SETTINGS = {"sampler": "nutpie", "model": "digest", "draws": 3, "random_seed": 1}


def write(path: Path, *parts: list[Outcome], settings: Any = SETTINGS) -> xr.DataTree:
    """Add outcomes to a folder, each part by a process of its own, and return the tree."""
    for part in parts:
        with open_zarr_folder(path, AXES, settings) as results:
            results.append(part)
            tree = results.tree()
    return tree


def in_memory(outcomes: list[Outcome], axes: ResultAxes = AXES) -> xr.DataTree:
    results = InMemoryResults(axes)
    results.append(outcomes)
    return results.tree()


def assert_equal(one: xr.DataTree, other: xr.DataTree) -> None:
    assert list(one.children) == list(other.children)
    for name, group in one.children.items():
        xr.testing.assert_equal(group.to_dataset(), other[name].to_dataset())
        assert list(group.data_vars) == list(other[name].data_vars)
        assert group.attrs == other[name].attrs


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_folder_has_what_memory_would_hold(tmp_path: Path, cut: int) -> None:
    outcomes = [outcome("one", 2), failed("bad"), outcome("two", 4), outcome("three", 1)]
    tree = write(tmp_path / "many.zarr", outcomes[:cut], outcomes[cut:])
    groups = ["posterior", "sample_stats", "diagnostics"]
    assert_equal(xr.DataTree.from_dict({name: tree[name] for name in groups}), in_memory(outcomes))


def test_results_are_known_when_a_folder_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "many.zarr"
    write(path, [outcome("one"), failed("bad"), failed("died", "WorkerDiedError", "data")])
    with open_zarr_folder(path, AXES, SETTINGS) as results:
        assert results.done == {"one": "data of one", "bad": "bad", "died": "data"}
        assert results.failed["bad"] == Failure("ValueError", "no")
        assert results.failed["died"].is_of_worker
        results.append([outcome("died")])
        assert results.failed.keys() == {"bad"}
    with open_zarr_folder(path, AXES, SETTINGS) as results:
        assert results.done["died"] == "data of died"
        tree = results.tree()
    assert tree["diagnostics"]["dataset"].values.tolist() == ["one", "bad", "died"]
    assert tree["diagnostics"]["error"].values.tolist() == ["", "ValueError: no", ""]
    assert tree["posterior"]["dataset"].values.tolist() == ["one", "died"]


@pytest.mark.parametrize("at", range(0, 12, 2))
def test_a_crash_loses_what_was_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path, real, count = tmp_path / "many.zarr", zarr_folder.write_rows, 0
    write(path, [outcome("one"), failed("two")])

    def crash(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count > at:
            raise MemoryError("killed")
        return real(*arguments)

    again = [outcome("two", 4), outcome("three", 3)]
    with monkeypatch.context() as patch:
        patch.setattr(zarr_folder, "write_rows", crash)
        with pytest.raises(MemoryError, match="killed"):
            write(path, again)
    with open_zarr_folder(path, AXES, SETTINGS) as results:
        assert results.done == {"one": "data of one", "two": "bad"}
    tree = write(path, again)
    expected = in_memory([outcome("one"), *again])
    for group in ("posterior", "sample_stats"):
        xr.testing.assert_equal(tree[group].to_dataset(), expected[group].to_dataset())
    assert tree["diagnostics"]["dataset"].values.tolist() == ["one", "two", "three"]


def test_rows_of_the_table_are_replaced_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "many.zarr"
    write(path, [failed("one"), outcome("two")])
    group = zarr.open_group(path)
    manifest: Any = group.attrs["bayou"]
    row = {"0": {"error": "", "data": "other"}}
    group.update_attributes({"bayou": {**manifest, "rewritten": json.dumps(row)}})
    with open_zarr_folder(path, AXES, SETTINGS) as results:
        assert results.done == {"one": "other", "two": "data of two"}
        assert results.failed == {}


def test_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.zarr"
    write(path, [outcome(f"{key:02}", 1) for key in range(33)], [outcome("long", 5)])
    results_of = {"posterior", "sample_stats", "diagnostics"}
    chunks = [
        file
        for group in results_of
        for file in path.glob(f"{group}/*/c/**/*")
        if file.is_file() and file.parts[len(path.parts) + 1] not in ("row", "chain", "draw")
    ]
    assert len(chunks) > 15
    for file in [*chunks, path / "posterior" / "mean" / "zarr.json"]:
        content = file.read_bytes()
        file.unlink()
        name = file.relative_to(path).as_posix()
        opening = open_zarr_folder(path, AXES, SETTINGS)
        with pytest.raises(ValueError, match=rf"got .* without {name}\.\nHint: restore"):
            opening.__enter__()
        file.write_bytes(content)
    with open_zarr_folder(path, AXES, SETTINGS) as results:
        assert len(results.done) == 34


def test_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.zarr"
    write(path, [outcome("one")])
    assert {name: recorded_setting(path, name) for name in SETTINGS} == SETTINGS
    assert recorded_setting(path, "other") is None
    assert recorded_setting(tmp_path / "none.zarr", "draws") is None
    for changed, text in (
        ({"draws": 4}, "got another draws: 3 then, 4 now"),
        ({"model": "other"}, r"got another model\.\nHint"),
    ):
        with pytest.raises(ValueError, match=text):
            write(path, [], settings=SETTINGS | changed)
    with pytest.raises(ValueError, match="begun by sample_many in a call of fit_many"):
        write(path, [], settings={"fit": ["auto", "auto"]})


def test_settings_may_be_corrected_where_all_failed(tmp_path: Path) -> None:
    path = tmp_path / "many.zarr"
    write(path, [failed("one")])
    tree = write(path, [outcome("two")], settings=SETTINGS | {"draws": 4})
    assert tree["diagnostics"]["dataset"].values.tolist() == ["two"]


def test_the_path_must_be_free(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    zarr.create_group(tmp_path / "group")
    for name in ("file", "group"):
        with pytest.raises(FileExistsError, match="which is something else"):
            write(tmp_path / name, [outcome("one")])
    with pytest.raises(FileNotFoundError, match="must be in a folder that exists"):
        write(tmp_path / "none" / "many.zarr", [outcome("one")])
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", [outcome("one")])
    busy = open_zarr_folder(tmp_path / "empty", AXES, SETTINGS)
    with (
        open_zarr_folder(tmp_path / "empty", AXES, SETTINGS),
        pytest.raises(FileExistsError, match="where another run writes"),
    ):
        busy.__enter__()
    assert np.isfinite(write(tmp_path / "empty", [outcome("two")])["posterior"]["mu"]).all()
