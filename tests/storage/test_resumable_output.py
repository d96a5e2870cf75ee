"""What is written bit by bit appears whole, and what was noted of it is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayou.storage.resumable_output import Unfinished


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
    (tmp_path / "z.zarr.partial" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"got a folder without a manifest .*\nHint: remove the"):
        Unfinished(tmp_path / "z.zarr").begun()
    (tmp_path / "w.zarr.partial").write_text("mine")
    with pytest.raises(ValueError, match=r"got a folder without a manifest .*\nHint: remove the"):
        Unfinished(tmp_path / "w.zarr").begun()


def test_a_link_to_nothing_is_taken(tmp_path: Path) -> None:
    (tmp_path / "y.zarr").symlink_to(tmp_path / "gone")
    (tmp_path / "z.zarr.partial").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"`out` must be a new path, got .*y\.zarr', which is"):
        Unfinished(tmp_path / "y.zarr").begun()
    with pytest.raises(ValueError, match="got a folder without a manifest"):
        Unfinished(tmp_path / "z.zarr").begun()


def test_what_was_interrupted_before_its_first_note_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished = Unfinished(tmp_path / "y.zarr")

    def interrupted(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    # As without power: nothing is cleared away.
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok: None)
    with pytest.raises(KeyboardInterrupt):
        unfinished.note({"done": 0})
    monkeypatch.undo()
    assert len(list(unfinished.folder.iterdir())) == 1
    assert unfinished.begun() is None
    unfinished.note({"done": 1})
    assert unfinished.begun() == {"done": 1}
