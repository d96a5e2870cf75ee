"""Shuffles on disk: every row once, in an order of the seed alone, wherever they were stopped."""

import errno
import json
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from bayou.preparation import shuffle as module
from bayou.preparation import shuffle_buckets as buckets
from bayou.preparation.shuffle import shuffle
from bayou.sampling.epoch import epoch_rows
from bayou.sampling.uniform import stream_key
from bayou.sources import Field, Source, Table
from bayou.sources.files.store import Store, open_store
from bayou.storage.lock import locked


class Rows(Source):
    """Numbered rows in blocks of any size, read in pieces; ``fault`` is told each row before it."""

    def __init__(
        self,
        sizes: Sequence[int],
        piece: int = 7,
        *,
        known: bool = True,
        offset: int = 0,
        fault: Callable[[int], None] = lambda row: None,
    ) -> None:
        self.sizes = sizes
        self.piece = piece
        self.known = known
        self.offset = offset
        self.fault = fault
        self.read_rows: list[int] = []

    @property
    def fields(self) -> dict[str, Field]:
        return {
            "number": Field("number", np.dtype(np.int32)),
            "pair": Field("pair", np.dtype(float), (2,)),
            "day": Field("day", np.dtype("datetime64[D]")),
            "kind": Field("kind", np.dtype(np.int8), (), ("a", "b", "c")),
        }

    @property
    def blocks(self) -> list[int | None]:
        return [size if self.known else None for size in self.sizes]

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        first = sum(self.sizes[:block])
        for start in range(first, first + self.sizes[block], self.piece):
            rows = np.arange(start, min(start + self.piece, first + self.sizes[block]))
            for row in rows:
                self.fault(int(row))
            self.read_rows.extend(rows.tolist())
            yield self.table(rows, names)

    def table(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        rows = rows + self.offset
        table = {
            "number": rows.astype(np.int32),
            "pair": np.stack([rows / 2, -rows.astype(float)], axis=1),
            "day": rows.astype("datetime64[D]"),
            "kind": (rows % 3).astype(np.int8),
        }
        return {name: table[name] for name in names}


class Halt(BaseException):
    """What a test stops a shuffle with."""


def run(source: Source, path: Path, **options: Any) -> Store:
    return shuffle(source, path, **{"random_seed": 1, "progressbar": False} | options)


def order_of(store: Store) -> list[int]:
    """The numbers of the rows in the order of a store whose rows are whole."""
    names = list(store.fields)
    tables = [table for block in range(len(store.blocks)) for table in store.read(block, names)]
    found = {name: np.concatenate([table[name] for table in tables]) for name in names}
    rows = found["number"].astype(np.int64)
    for name, values in Rows([1]).table(rows, names).items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    return rows.tolist()


@pytest.fixture(scope="module", autouse=True)
def synced() -> Iterator[list[int]]:
    """Count what is seen onto the disk in place of waiting for it."""
    calls: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", calls.append)
        yield calls


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The order of 100 rows by seed 1."""
    return order_of(run(Rows([100]), tmp_path_factory.mktemp("expected") / "rows"))


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    piece=st.integers(1, 50),
    memory=st.integers(60, 4000),
    seed=st.integers(0, 2**70),
)
@settings(max_examples=25)
def test_every_row_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], piece: int, memory: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("shuffle")
    store = run(Rows(sizes, piece), folder / "rows", random_seed=seed, memory=memory)
    assert store.num_rows == sum(sizes)
    assert store.fields["kind"].categories == ("a", "b", "c")
    assert sorted(order_of(store)) == list(range(sum(sizes)))
    open_store(folder / "rows", verify=True)
    assert [file.name for file in folder.iterdir()] == ["rows"]
    assert len(list((folder / "rows").iterdir())) == 5


@pytest.mark.parametrize("memory", [70, 333, 10_000, "1 KiB", "1 GiB"])
@pytest.mark.parametrize("sizes", [[100], [1] * 50 + [50], [0, 99, 1]])
def test_the_order_is_of_the_seed_alone(
    tmp_path: Path, expected: list[int], memory: int | str, sizes: list[int]
) -> None:
    assert order_of(run(Rows(sizes), tmp_path / "rows", memory=memory)) == expected
    assert order_of(run(Rows(sizes), tmp_path / "other", random_seed=2)) != expected


def test_the_order_of_a_seed_stays(tmp_path: Path) -> None:
    # A shuffle that is gone on with by a later version must meet the same order.
    assert order_of(run(Rows([10]), tmp_path / "rows")) == [1, 7, 4, 2, 9, 8, 3, 5, 6, 0]


def test_a_seed_is_drawn_without_one(tmp_path: Path) -> None:
    stores = [run(Rows([100]), tmp_path / str(k), random_seed=None) for k in range(2)]
    assert order_of(stores[0]) != order_of(stores[1])
    seed = stores[0].manifest["made"]["random_seed"]
    again = run(Rows([100]), tmp_path / "again", random_seed=seed)
    assert order_of(again) == order_of(stores[0])


@pytest.mark.parametrize("row", [0, 17, 39])
def test_the_place_of_a_row_is_uniform(row: int) -> None:
    fields = tuple(Rows([40]).fields.values())
    places = []
    for seed in range(4000):
        plan = buckets.Plan(fields, 40, module._key(seed), 10**6)
        places.append(buckets.permutation(plan.key, 40, row, 1)[0])
    counts = np.bincount(places, minlength=40)
    assert stats.chisquare(counts).pvalue > 0.001


def test_every_order_of_four_rows_is_as_likely() -> None:
    orders = [tuple(buckets.permutation(module._key(seed), 4, 0, 4)) for seed in range(6000)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("stream", [0, 1])
def test_an_epoch_of_the_same_seed_does_not_undo_it(tmp_path: Path, stream: int) -> None:
    order = np.array(order_of(run(Rows([1000]), tmp_path / "rows")))
    [epoch] = epoch_rows(stream_key(1, stream), 0, 1, 1000, 1000)
    for rows in (order[epoch], epoch[order]):
        assert abs(stats.spearmanr(rows, np.arange(1000)).statistic) < 0.12


def test_rows_that_are_not_known_are_counted(tmp_path: Path, expected: list[int]) -> None:
    source = Rows([60, 40], known=False)
    assert order_of(run(source, tmp_path / "rows", memory=500)) == expected


def test_a_bar_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Rows([100]), tmp_path / "rows", progressbar=True)
    shown = capsys.readouterr().out
    assert "shuffle: reading" in shown
    assert "shuffle: writing" in shown
    assert "100/100 rows" in shown


def test_what_is_written_is_seen_onto_the_disk(tmp_path: Path, synced: list[int]) -> None:
    synced.clear()
    run(Rows([100]), tmp_path / "rows", memory=1000)
    # Twice each of the two writes of a JSON file, buckets, files a bucket; then two folders.
    num_buckets = -(-100 // (500 // 29))
    keeps = num_buckets + 3
    assert len(synced) == 2 * keeps + num_buckets + 4 + 4 * num_buckets + 2


# Going on


def stop_at(number: int, calls: list[int]) -> None:
    calls.append(number)
    if len(calls) == number:
        raise Halt


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("row", [20, 45, 66, 99])
@pytest.mark.parametrize("keep_seconds", [0.0, 30.0])
def test_goes_on_after_a_fault_of_the_source(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: list[int],
    known: bool,
    row: int,
    keep_seconds: float,
) -> None:
    monkeypatch.setattr(buckets, "KEEP_SECONDS", keep_seconds)

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


@pytest.mark.parametrize("function", ["settle", "write_json", "_append", "sync", "_placed", "_cut"])
def test_goes_on_after_a_stop_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[int], function: str
) -> None:
    holder = buckets if hasattr(buckets, function) else module
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
            patch.setattr(buckets, "KEEP_SECONDS", 0.0)
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


@pytest.mark.parametrize(("stage", "last"), [("spread", 30), ("gather", 75)])
def test_goes_on_after_a_sudden_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[int], stage: str, last: int
) -> None:
    original = buckets._append
    calls: list[Path] = []

    def dying(file: Path, *arguments: Any) -> int:
        calls.append(file)
        if len(calls) == last:
            # Nothing is put in order any more, and a write was under way.
            patch.setattr(module, "settle", lambda *arguments: 1 / 0)
            original(file, b"torn")
            raise Halt
        return original(file, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(buckets, "KEEP_SECONDS", 0.0)
        patch.setattr(buckets, "_append", dying)
        with pytest.raises(ZeroDivisionError):
            run(Rows([50, 50], 6), tmp_path / "rows", memory=1000)
    assert (calls[-1].suffix == ".npy") == (stage == "gather")
    progress = json.loads((tmp_path / "rows.partial" / "progress.json").read_text())["progress"]
    assert 0 < progress["rows_read"] <= 100
    assert (progress["buckets_done"] > 0) == (stage == "gather")
    source = Rows([50, 50], 6)
    assert order_of(run(source, tmp_path / "rows", memory=1000)) == expected
    if stage == "gather":
        assert max(source.read_rows) < 56


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


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """The path of a shuffle of 100 rows that was stopped."""

    def fault(row: int) -> None:
        if row == 70:
            raise Halt

    with pytest.raises(Halt):
        run(Rows([50, 50], 5, fault=fault), tmp_path / "rows", memory=800)
    return tmp_path / "rows"


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
    assert f"Hint: pass what it was begun with, or remove {unfinished}.partial." in str(
        caught.value
    )
    assert sorted(unfinished.with_name("rows.partial").iterdir()) == before


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


# What is refused


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    run(Rows([10]), tmp_path / "rows")
    with pytest.raises(FileExistsError, match=r"`path` must not exist yet, got .*\nHint: open it"):
        run(Rows([10]), tmp_path / "rows")


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.partial").mkdir()
    (tmp_path / "rows.partial" / "mine").touch()
    with pytest.raises(
        FileExistsError, match=r"`path` must leave .* got a folder with other files"
    ):
        run(Rows([10]), tmp_path / "rows")
    assert (tmp_path / "rows.partial" / "mine").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`path` must be in a folder that exists"):
        run(Rows([10]), tmp_path / "none" / "rows")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    # A name is at most 255 long, with what is put behind it.
    with pytest.raises(OSError, match=r"`path` must be where folders can be made, got '.*name too"):
        run(Rows([10]), tmp_path / ("x" * 250))
    assert list(tmp_path.iterdir()) == []


def test_two_at_a_time_are_refused(unfinished: Path) -> None:
    with (
        locked(unfinished, AssertionError()),
        pytest.raises(FileExistsError, match="`path` must not be shuffled into twice at the"),
    ):
        run(Rows([50, 50], 5), unfinished, memory=800)


@pytest.mark.parametrize(
    "memory", ["", "1", "MiB", "1 XB", "-1 MB", "0 MB", "1e3 B", 0, -5, 1.5, None, True]
)
def test_no_size_of_memory_is_refused(tmp_path: Path, memory: Any) -> None:
    with pytest.raises(ValueError, match=r"`memory` must be a .*\nHint: pass a number of bytes"):
        run(Rows([10]), tmp_path / "rows", memory=memory)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("memory", "size"),
    [(7, 7), ("7 B", 7), ("1 KiB", 1024), ("2 GB", 2 * 10**9), ("1.5MiB", 3 * 2**19)],
)
def test_sizes_of_memory(memory: int | str, size: int) -> None:
    assert module._memory_bytes(memory) == size


def test_too_little_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "MAX_BUCKETS", 10)
    with pytest.raises(ValueError, match="`memory` must be at least 580 bytes for 100 rows of 29"):
        run(Rows([100]), tmp_path / "rows", memory=579)
    assert list(tmp_path.iterdir()) == []
    run(Rows([100]), tmp_path / "rows", memory=580)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_no_seed_is_refused(tmp_path: Path, seed: Any) -> None:
    with pytest.raises(ValueError, match="`random_seed` must be a whole number of at least 0"):
        run(Rows([10]), tmp_path / "rows", random_seed=seed)


@pytest.mark.parametrize("known", [True, False])
def test_a_source_without_rows_is_refused(tmp_path: Path, known: bool) -> None:
    with pytest.raises(ValueError, match=r"`source` must have rows to shuffle, got .* no rows"):
        run(Rows([0, 0], known=known), tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


class Changed(Rows):
    """Rows whose fields say other than their tables hold."""

    def __init__(self, **fields: Field) -> None:
        super().__init__([30, 30])
        self.changed = fields

    @property
    def fields(self) -> dict[str, Field]:
        return super().fields | self.changed


def test_text_is_refused(tmp_path: Path) -> None:
    source = Changed(day=Field("day", np.dtype(object)))
    with pytest.raises(TypeError, match=r"`source` must have fields of numbers, .* got \['day'\]"):
        run(source, tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


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


def test_a_fault_before_the_first_row_leaves_nothing(tmp_path: Path) -> None:
    def fault(row: int) -> None:
        if row == 70:
            raise Halt

    with pytest.raises(Halt):
        run(Rows([100], 5, fault=fault), tmp_path / "rows", memory="1 GiB")
    assert list(tmp_path.iterdir()) == []


# A full disk


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = module.shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    message = r"`path` must be on a disk with 1\.06 MB free for the shuffle, got 1\.00 MB at"
    with pytest.raises(OSError, match=message):
        run(Rows([100]), tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


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
            OSError, match=r"got 'No space left on device' while writing .*\nHint: n"
        ):
            run(Rows([100]), tmp_path / "rows", memory=1000)
    assert order_of(run(Rows([100]), tmp_path / "rows", memory=1000)) == expected
