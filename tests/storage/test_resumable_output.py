"""What is written bit by bit appears whole, and what was noted of it is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayou.storage.resumable_output import ResumableOutput


def test_what_is_noted_is_found_until_it_is_finished(tmp_path: Path) -> None:
    output = ResumableOutput(tmp_path / "y.zarr")
    assert output.read_manifest() is None
    output.write_manifest({"done": 3})
    output.write_manifest({"done": 4})
    assert ResumableOutput(tmp_path / "y.zarr").read_manifest() == {"done": 4}
    part = output.folder / "data.zarr"
    part.mkdir()
    (part / "chunk").write_text("values")
    output.finish(part)
    assert [path.name for path in tmp_path.iterdir()] == ["y.zarr"]
    assert (tmp_path / "y.zarr" / "chunk").read_text() == "values"


def test_what_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "y.zarr").mkdir()
    with pytest.raises(ValueError, match=r"`out` must be a new path, got .*\nHint: choose another"):
        ResumableOutput(tmp_path / "y.zarr").read_manifest()
    (tmp_path / "z.zarr.partial").mkdir()
    (tmp_path / "z.zarr.partial" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"got a folder without a manifest .*\nHint: remove the"):
        ResumableOutput(tmp_path / "z.zarr").read_manifest()
    (tmp_path / "w.zarr.partial").write_text("mine")
    with pytest.raises(ValueError, match=r"got a folder without a manifest .*\nHint: remove the"):
        ResumableOutput(tmp_path / "w.zarr").read_manifest()


def test_a_link_to_nothing_is_taken(tmp_path: Path) -> None:
    (tmp_path / "y.zarr").symlink_to(tmp_path / "gone")
    (tmp_path / "z.zarr.partial").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"`out` must be a new path, got .*y\.zarr', which is"):
        ResumableOutput(tmp_path / "y.zarr").read_manifest()
    with pytest.raises(ValueError, match="got a folder without a manifest"):
        ResumableOutput(tmp_path / "z.zarr").read_manifest()


def test_what_was_interrupted_before_its_first_note_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = ResumableOutput(tmp_path / "y.zarr")

    def interrupted(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    # As without power: nothing is cleared away.
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok: None)
    with pytest.raises(KeyboardInterrupt):
        output.write_manifest({"done": 0})
    monkeypatch.undo()
    assert len(list(output.folder.iterdir())) == 1
    assert output.read_manifest() is None
    output.write_manifest({"done": 1})
    assert output.read_manifest() == {"done": 1}
