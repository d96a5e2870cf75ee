"""What is written bit by bit appears whole, and what was noted of it is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayou.results.unfinished import Unfinished


def test_what_is_noted_is_found_until_it_is_finished(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "y.zarr")
    assert unfinished.begun() is None
    unfinished.note({"done": 3})
    unfinished.note({"done": 4})
    assert Unfinished(tmp_path / "y.zarr").begun() == {"done": 4}
    part = unfinished.folder / "data.zarr"
    part.mkdir()
    (part / "chunk").write_text("values")
    unfinished.finish(part)
    assert [path.name for path in tmp_path.iterdir()] == ["y.zarr"]
    assert (tmp_path / "y.zarr" / "chunk").read_text() == "values"


def test_what_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "y.zarr").mkdir()
    with pytest.raises(ValueError, match=r"`out` must be a new path, got .*\nHint: choose another"):
        Unfinished(tmp_path / "y.zarr").begun()
    (tmp_path / "z.zarr.partial").mkdir()
    with pytest.raises(ValueError, match=r"got a folder without a manifest .*\nHint: remove the"):
        Unfinished(tmp_path / "z.zarr").begun()
