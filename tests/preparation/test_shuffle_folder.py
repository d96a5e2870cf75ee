from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bayou.preparation import shuffle_buckets as buckets
from bayou.preparation import shuffle_folder as folders
from bayou.storage.lock import locked
from tests.preparation.numbered_rows import Halt, Rows, order_of, run


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("row", [20, 45, 66, 99])
@pytest.mark.parametrize("save_seconds", [0.0, 30.0])
def test_goes_on_after_a_fault_of_the_source(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: list[int],
    known: bool,
    row: int,
    save_seconds: float,
) -> None:
    monkeypatch.setattr(buckets, "SAVE_SECONDS", save_seconds)

    def fault(number: int) -> None:
        if number == row:
            raise Halt

    first = Rows([45, 15, 40], 5, known=known, fault=fault)
    if known:
        with pytest.raises(Halt):
            run(first, tmp_path / "rows", memory=800)
        assert [file.name for file in tmp_path.iterdir()] == ["rows.partial"]
    source = Rows([45, 15, 40], 5, known=known)
    assert order_of(run(source, tmp_path / "rows", memory=800)) == expected
    assert [file.name for file in tmp_path.iterdir()] == ["rows"]
    if known and row >= 60:
        # What is compared of the first and last block, and then only what was not spread.
        assert source.read_rows[:10] == [*range(5), *range(60, 65)]
        assert min(source.read_rows[10:]) >= 45


def test_a_seed_that_was_drawn_is_kept(tmp_path: Path) -> None:
    stop = [40]

    def fault(row: int) -> None:
        if row in stop:
            raise Halt

    source = Rows([100], 5, fault=fault)
    with pytest.raises(Halt):
        run(source, tmp_path / "rows", memory=800, random_seed=None)
    progress = json.loads((tmp_path / "rows.partial" / "progress.json").read_text())
    stop.clear()
    store = run(source, tmp_path / "rows", memory=800, random_seed=None)
    assert store.manifest["made"]["random_seed"] == progress["made"]["random_seed"]
    again = run(source, tmp_path / "again", random_seed=progress["made"]["random_seed"])
    assert order_of(store) == order_of(again)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"random_seed": 2}, "random_seed: 1 then, 2 now"),
        ({"memory": 900}, "memory: 800 then, 900 now"),
        ({"source": Rows([50, 49], 5)}, "num_rows: 100 then, 99 now"),
        ({"source": Rows([50, 50], 5, offset=1)}, "first rows: "),
        ({"source": type("Others", (Rows,), {})([50, 50], 5)}, "source: 'Rows' then, 'Others' now"),
    ],
)
def test_another_shuffle_is_refused(unfinished: Path, changes: dict[str, Any], name: str) -> None:
    options = {"source": Rows([50, 50], 5), "memory": 800} | changes
    before = sorted(unfinished.with_name("rows.partial").iterdir())
    with pytest.raises(ValueError, match=f"got another {name}") as caught:
        run(path=unfinished, **options)
    assert f"Hint: pass the same source and arguments, or remove {unfinished}.partial." in str(
        caught.value
    )
    assert sorted(unfinished.with_name("rows.partial").iterdir()) == before


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    run(Rows([10]), tmp_path / "rows")
    with pytest.raises(FileExistsError, match=r"`out` must not exist yet, got .*\nHint: open it"):
        run(Rows([10]), tmp_path / "rows")


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.partial").mkdir()
    (tmp_path / "rows.partial" / "mine").touch()
    with pytest.raises(FileExistsError, match=r"`out` must leave .* got a folder with other files"):
        run(Rows([10]), tmp_path / "rows")
    assert (tmp_path / "rows.partial" / "mine").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`out` must be in a folder that exists"):
        run(Rows([10]), tmp_path / "none" / "rows")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    # A name is at most 255 long, with what is put behind it.
    with pytest.raises(OSError, match=r"`out` must be where folders can be created, .*name too"):
        run(Rows([10]), tmp_path / ("x" * 250))
    assert list(tmp_path.iterdir()) == []


def test_two_at_a_time_are_refused(unfinished: Path) -> None:
    with (
        locked(unfinished, AssertionError()),
        pytest.raises(FileExistsError, match="`out` must not be shuffled into twice at the"),
    ):
        run(Rows([50, 50], 5), unfinished, memory=800)


def test_a_fault_before_the_first_row_leaves_nothing(tmp_path: Path) -> None:
    def fault(row: int) -> None:
        if row == 70:
            raise Halt

    with pytest.raises(Halt):
        run(Rows([100], 5, fault=fault), tmp_path / "rows", memory="1 GiB")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = folders.shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage)
    message = r"`out` must be on a disk with 1\.06 MB free for the shuffle, got 1\.00 MB at"
    with pytest.raises(OSError, match=message):
        run(Rows([100]), tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


IDENTITY = folders.Identity(7, 800, 100, "Rows", 5, [1, 2])


def test_an_identity_has_the_keys_of_stores_on_disk() -> None:
    saved = IDENTITY.to_json()
    assert list(saved) == ["random_seed", "memory", "num_rows", "source", "fields", "first rows"]
    assert folders.Identity.from_json(json.loads(json.dumps(saved))) == IDENTITY


def test_what_a_call_leaves_open_is_that_of_the_unfinished_shuffle(tmp_path: Path) -> None:
    call = replace(IDENTITY, random_seed=None, num_rows=None)
    folders.check_resumed(call, IDENTITY, tmp_path)
    with pytest.raises(ValueError, match="got another memory: 800 then, 900 now"):
        folders.check_resumed(replace(call, memory=900), IDENTITY, tmp_path)


def test_a_save_that_was_cut_off_is_no_file_of_others(tmp_path: Path) -> None:
    (tmp_path / ".progress.json.123").touch()
    assert folders.read_unfinished(tmp_path) is None
    (tmp_path / "progress.json").touch()
    store = tmp_path.with_name("store")
    folders.finish_folder(tmp_path, store)
    assert list(store.iterdir()) == []
    (store / "mine").touch()
    with pytest.raises(FileExistsError, match="got a folder with other files there"):
        folders.read_unfinished(store)


def test_blocks_are_compared_by_their_first_rows() -> None:
    first = folders.identify(Rows([50, 0, 50], 5), 1, 10)
    assert first == folders.identify(Rows([50, 0, 50], 5), 1, 10)
    assert first.first_rows != folders.identify(Rows([50, 0, 50], 5, offset=1), 1, 10).first_rows
    # A block without rows has nothing to compare.
    assert folders.identify(Rows([50, 0]), 1, 10).first_rows[1] == 0
