"""Draws in a Zarr folder can be read at any time, and only what was appended whole counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from bayou.fitting.guides.coordinates import Frame
from bayou.nuts.disk.draw_store import DrawStore, open_draw_store, recorded_seed

SETTINGS = {"chains": 2, "variables": ["x", "n"], "random_seed": 5}
FRAME = Frame(np.zeros(2), np.ones(2))


def template() -> xr.DataTree:
    posterior = xr.Dataset(
        {
            "x": (("chain", "draw", "part"), np.zeros((2, 1, 3))),
            "n": (("chain", "draw"), np.zeros((2, 1), int)),
        },
        {"part": ["a", "b", "c"], "draw": [0]},
    )
    statistics = xr.Dataset({"lp": (("chain", "draw"), np.zeros((2, 1)))})
    data = xr.Dataset({"y": ("row", [1.0, 2.0])})
    groups = {"posterior": posterior, "sample_stats": statistics, "observed_data": data}
    return xr.DataTree.from_dict(groups)


def groups(number: int, begin: int = 0) -> Any:
    x = np.arange(begin, begin + number) + np.zeros((2, 1))
    return {
        "posterior": {"x": np.repeat(x[..., None], 3, axis=2), "n": x.astype(int)},
        "sample_stats": {"lp": x},
    }


def open_store(path: Path, *, resume: bool = False) -> Any:
    return open_draw_store(path, SETTINGS, resume=resume)


def read(path: Path) -> xr.DataTree:
    return xr.open_datatree(path, engine="zarr")


def test_draws_grow_and_are_read_while_they_do(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    with open_store(path) as store:
        assert store.is_new
        store.begin(template())
        assert not store.is_new
        assert read(path).posterior.sizes["draw"] == 0
        store.append(groups(3), np.zeros((2, 2)), FRAME)
        store.append(groups(4, 3), np.full((2, 2), 7.0), FRAME)
        tree = read(path)
        np.testing.assert_array_equal(tree.posterior["x"][1, :, 2], range(7))
        assert tree.posterior["n"].dtype == int
        assert tree.posterior["part"].values.tolist() == ["a", "b", "c"]
        assert tree.posterior["draw"].values.tolist() == list(range(7))
        assert tree.observed_data["y"].values.tolist() == [1, 2]
        np.testing.assert_array_equal(store.every("posterior", "n", 3), [[0, 3, 6]] * 2)
    assert list(store.tree().children) == ["observed_data", "posterior", "sample_stats"]
    assert list(store.tree().posterior.data_vars) == ["x", "n"]


def test_what_was_not_finished_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "draws.zarr"
    with open_store(path) as store:
        store.begin(template())
        store.append(groups(3), np.zeros((2, 2)), FRAME)
        with monkeypatch.context() as patch:
            patch.setattr(DrawStore, "_consolidate", lambda self: None)
            store.append(groups(4, 3), np.ones((2, 2)), FRAME)
    assert read(path).posterior.sizes["draw"] == 3
    with open_store(path, resume=True) as store:
        assert store.num_draws == 3
        store.append(groups(2, 100), np.full((2, 2), 9.0), FRAME)
        positions, frame = store.state()
    np.testing.assert_array_equal(positions, np.full((2, 2), 9.0))
    np.testing.assert_array_equal(frame.factor, FRAME.factor)
    np.testing.assert_array_equal(read(path).posterior["n"], [[0, 1, 2, 100, 101]] * 2)


def test_a_folder_that_was_not_begun_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "draws.zarr"
    with monkeypatch.context() as patch, open_store(path) as store:
        patch.setattr(DrawStore, "_consolidate", lambda self: None)
        store.begin(template())
    with open_store(path, resume=True) as store:
        assert store.is_new
        store.begin(template())
        store.append(groups(1), np.zeros((2, 2)), FRAME)
    assert recorded_seed(path) == 5
    assert recorded_seed(tmp_path / "other") is None


def test_wrong_folders(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    busy = pytest.raises(FileExistsError, match="must not be written to twice at the same time")
    with open_store(path), busy:
        open_store(path, resume=True).__enter__()
    with pytest.raises(FileExistsError, match=r"new without resume=True, .* has draws\.\nHint"):
        open_store(path).__enter__()
    with pytest.raises(ValueError, match=r"another chains: 2 then, 3 now\.\nHint: pass what"):
        open_draw_store(path, SETTINGS | {"chains": 3}, resume=True).__enter__()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(FileExistsError, match=r"which is something else\.\nHint: pass another"):
        open_store(tmp_path / "other", resume=True).__enter__()
    with pytest.raises(FileNotFoundError, match=r"`out` must be in a folder that exists"):
        open_store(tmp_path / "none" / "draws.zarr").__enter__()
