from __future__ import annotations

import errno
import json
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayou.preparation import shuffle as module
from bayou.preparation import shuffle_buckets as buckets
from bayou.preparation import shuffle_folder as folders
from bayou.sources import Field, Table
from bayou.sources.files.store import open_store
from tests.preparation.numbered_rows import Changed, Halt, Rows, order_of, run


@pytest.mark.parametrize(
    ("holder", "function"),
    [
        (buckets, "restore_files"),
        (buckets, "_append"),
        (buckets, "flush_to_disk"),
        (buckets, "_read_bucket"),
        (buckets, "_truncate"),
        (folders, "write_json"),
        (folders, "flush_to_disk"),
        (module, "save_progress"),
        (module, "write_json"),
        (module, "finish_folder"),
    ],
)
def test_goes_on_after_a_stop_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[int], holder: Any, function: str
) -> None:
    original = getattr(holder, function)
    source = Rows([50, 50], 6)
    number, finished = 0, False
    while not finished:
        number += 1
        path = tmp_path / f"rows{number}"
        calls: list[int] = []

        def stopping(
            *arguments: Any, calls: list[int] = calls, number: int = number, **options: Any
        ) -> Any:
            stop_at(number, calls)
            return original(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(holder, function, stopping)
            patch.setattr(buckets, "SAVE_SECONDS", 0.0)
            try:
                store = run(source, path, memory=3000)
                finished = True
            except Halt:
                # A stop after the very end finds the store in its place.
                store = open_store(path) if path.exists() else run(source, path, memory=3000)
        assert order_of(store) == expected
        open_store(path, verify=True)
    assert number > 1
    assert all(not file.name.endswith(".partial") for file in tmp_path.iterdir())


def stop_at(number: int, calls: list[int]) -> None:
    calls.append(number)
    if len(calls) == number:
        raise Halt


@pytest.mark.parametrize(("stage", "last"), [("buckets", 30), ("store", 75)])
def test_goes_on_after_a_sudden_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[int], stage: str, last: int
) -> None:
    original = buckets._append
    calls: list[Path] = []

    def dying(file: Path, *arguments: Any) -> int:
        calls.append(file)
        if len(calls) == last:
            # Nothing is put in order any more, and a write was under way.
            patch.setattr(module, "restore_files", lambda *arguments: 1 / 0)
            original(file, b"torn")
            raise Halt
        return original(file, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(buckets, "SAVE_SECONDS", 0.0)
        patch.setattr(buckets, "_append", dying)
        with pytest.raises(ZeroDivisionError):
            run(Rows([50, 50], 6), tmp_path / "rows", memory=1000)
    assert (calls[-1].suffix == ".npy") == (stage == "store")
    progress = json.loads((tmp_path / "rows.partial" / "progress.json").read_text())["progress"]
    assert 0 < progress["rows_read"] <= 100
    assert (progress["buckets_done"] > 0) == (stage == "store")
    source = Rows([50, 50], 6)
    assert order_of(run(source, tmp_path / "rows", memory=1000)) == expected
    if stage == "store":
        assert max(source.read_rows) < 56


@pytest.mark.parametrize("size", [0, 10])
def test_a_bucket_cut_short_is_refused(unfinished: Path, size: int) -> None:
    bucket = min(unfinished.with_name("rows.partial").glob("bucket-*"))
    bucket.write_bytes(bucket.read_bytes()[:size])
    message = r"bucket-00000` must hold what an unfinished shuffle .*\nHint: remove .*rows\.partial"
    with pytest.raises(ValueError, match=message):
        run(Rows([50, 50], 5), unfinished, memory=800)


@pytest.mark.parametrize("place", [0, 99, -1])
def test_a_bucket_with_a_wrong_place_is_refused(unfinished: Path, place: int) -> None:
    bucket = min(unfinished.with_name("rows.partial").glob("bucket-*"))
    content = bytearray(bucket.read_bytes())
    other = place if place else int.from_bytes(content[37:45], "little")
    content[:8] = other.to_bytes(8, "little", signed=True)
    bucket.write_bytes(content)
    with pytest.raises(ValueError, match="bucket-00000` must hold what an unfinished shuffle"):
        run(Rows([50, 50], 5), unfinished, memory=800)


@pytest.mark.parametrize(
    "field", [Field("number", np.dtype(np.int64)), Field("number", np.dtype(np.int32), (2,))]
)
def test_other_values_than_said_are_refused(tmp_path: Path, field: Field) -> None:
    with pytest.raises(
        ValueError, match=r"`source` must yield what its fields say, got 'number' of"
    ):
        run(Changed(number=field), tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


def test_tables_without_a_field_are_refused(tmp_path: Path) -> None:
    class Forgetful(Rows):
        def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
            for table in super().read(block, names):
                yield table if self.read_rows[-1] < 50 else {"day": table["day"]}

    with pytest.raises(
        ValueError, match=r"`source` must yield all its fields, got \['day'\] in bl"
    ):
        run(Forgetful([100]), tmp_path / "rows")


@pytest.mark.parametrize(("said", "message"), [(99, "more than 99"), (101, "101, got 100")])
def test_other_rows_than_said_are_refused(tmp_path: Path, said: int, message: str) -> None:
    source = type("Miscounted", (Rows,), {"num_rows": said})([100])
    with pytest.raises(
        ValueError, match=f"`source` must have as many rows as it says, .*{message}"
    ):
        run(source, tmp_path / "rows")


@pytest.mark.parametrize("limit", [300, 900, 2000])
def test_a_disk_that_gets_full_loses_nothing(
    tmp_path: Path, expected: list[int], limit: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = [100] if limit == 300 else [1000]
    memory = 1500 if limit < 2000 else 30_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="must be on a disk with room for the shuffle, got"):
            run(Rows(rows), tmp_path / "rows", memory=memory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    store = run(Rows(rows), tmp_path / "rows", memory=memory)
    assert sorted(order_of(store)) == list(range(rows[0]))
    assert [file.name for file in tmp_path.iterdir()] == ["rows"]


@pytest.mark.parametrize("number", [1, 5, 20, 28, 31])
def test_goes_on_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[int], number: int
) -> None:
    opened: list[str] = []
    original = Path.open

    def full(file: Path, mode: str = "r", **options: Any) -> Any:
        if mode == "ab":
            opened.append(file.name)
            if len(opened) == number:
                raise OSError(errno.ENOSPC, "No space left on device", str(file))
        return original(file, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(
            OSError, match=r"got 'No space left on device' while writing .*\nHint: t"
        ):
            run(Rows([100]), tmp_path / "rows", memory=1000)
    assert order_of(run(Rows([100]), tmp_path / "rows", memory=1000)) == expected


def test_what_is_written_is_seen_onto_the_disk(tmp_path: Path, synced: list[int]) -> None:
    synced.clear()
    run(Rows([100]), tmp_path / "rows", memory=1000)
    # Twice each of the two writes of a JSON file, buckets, files a bucket; then two folders.
    num_buckets = -(-100 // (500 // 29))
    keeps = num_buckets + 3
    assert len(synced) == 2 * keeps + num_buckets + 4 + 4 * num_buckets + 2
