"""Stores: what is written is what is read, and what was changed since is refused by name."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bayou.errors import SourceError
from bayou.sources import Field
from bayou.sources.files.store import (
    MANIFEST,
    Store,
    array_header,
    field_entry,
    is_store,
    open_store,
    write_json,
)
from bayou.sources.files.store import _checksum as checksum

NUM_ROWS = 300_003
VALUES: dict[str, NDArray[Any]] = {
    "price": np.arange(NUM_ROWS) / 7,
    "image/2": np.arange(NUM_ROWS * 12, dtype=np.uint16).reshape(NUM_ROWS, 3, 4),
    "day": np.arange(NUM_ROWS).astype("datetime64[D]"),
    "code": (np.arange(NUM_ROWS) % 2).astype(np.int32),
    "is late": np.arange(NUM_ROWS) % 3 == 0,
}


def write_store(folder: Path, values: dict[str, NDArray[Any]], num_rows: int) -> Path:
    folder.mkdir()
    entries = []
    for index, (name, array) in enumerate(values.items()):
        categories = ("a", "b") if name == "code" else None
        field = Field(name, array.dtype, array.shape[1:], categories)
        entry = field_entry(index, field)
        file = folder / entry["file"]
        file.write_bytes(array_header(field, num_rows) + array.tobytes())
        entries.append(entry | {"bytes": file.stat().st_size, "crc32": checksum(file)})
    manifest = {"format": "bayou store", "version": 1, "num_rows": num_rows, "fields": entries}
    write_json(folder / MANIFEST, manifest | {"made": {"random_seed": 1}})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_store(tmp_path / "rows", VALUES, NUM_ROWS)


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    write_json(folder / MANIFEST, manifest | changes)


def read_all(store: Store, names: list[str]) -> dict[str, NDArray[Any]]:
    tables = [table for block in range(len(store.blocks)) for table in store.read(block, names)]
    return {name: np.concatenate([table[name] for table in tables]) for name in names}


def test_fields_are_those_written(folder: Path) -> None:
    store = open_store(folder, verify=True)
    assert store.num_rows == sum(store.blocks) == NUM_ROWS
    assert len(store.blocks) > 1
    assert list(store.fields) == list(VALUES)
    for name, array in VALUES.items():
        assert store.fields[name].dtype == array.dtype
        assert store.fields[name].shape == array.shape[1:]
    assert store.fields["code"].categories == ("a", "b")
    assert store.random_access
    assert repr(store).endswith(
        "', 300,003 rows, fields [price: float64, "
        "image/2: uint16[3, 4], day: datetime64[D], code: 2 categories, is late: bool])"
    )


def test_blocks_hold_every_row_in_order(folder: Path) -> None:
    store = open_store(folder)
    found = read_all(store, list(VALUES))
    for name, array in VALUES.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    [table] = store.read(len(store.blocks) - 1, ["day", "price"])
    assert list(table) == ["day", "price"]
    assert len(table["day"]) == store.blocks[-1]


def test_take_is_numpy_take_in_memory(folder: Path) -> None:
    rows = np.array([5, NUM_ROWS - 1, 0, 5])
    taken = open_store(folder).take(rows, list(VALUES))
    for name, array in VALUES.items():
        np.testing.assert_array_equal(taken[name], array[rows])
        assert type(taken[name]) is np.ndarray
        assert taken[name].flags.writeable


def test_unknown_rows_and_fields_are_refused(folder: Path) -> None:
    store = open_store(folder)
    with pytest.raises(IndexError, match=f"below the number of rows, {NUM_ROWS}, got -1"):
        store.take(np.array([0, -1]), ["price"])
    with pytest.raises(ValueError, match="must be a field of the source, got 'prize'"):
        store.take(np.arange(2), ["prize"])
    with pytest.raises(ValueError, match="must be a field of the source, got 'prize'"):
        next(store.read(0, ["prize"]))


def test_files_are_plain_arrays(folder: Path) -> None:
    np.testing.assert_array_equal(np.load(folder / "0000-price.npy"), VALUES["price"])
    np.testing.assert_array_equal(np.load(folder / "0001-image_2.npy"), VALUES["image/2"])


def test_pickles_as_its_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    content = pickle.dumps(open_store("rows"))
    assert len(content) < 500
    monkeypatch.chdir("/")
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.take(np.arange(9), ["price"])["price"], np.arange(9) / 7)


def test_a_store_without_rows(tmp_path: Path) -> None:
    store = open_store(write_store(tmp_path / "rows", {"x": np.empty((0, 2))}, 0), verify=True)
    assert store.num_rows == 0
    assert store.blocks == ()
    assert store.take(np.arange(0), ["x"])["x"].shape == (0, 2)


def test_rows_without_bytes(tmp_path: Path) -> None:
    store = open_store(write_store(tmp_path / "rows", {"x": np.empty((7, 0))}, 7))
    assert read_all(store, ["x"])["x"].shape == (7, 0)


def test_is_store(folder: Path, tmp_path: Path) -> None:
    assert is_store(folder)
    assert not is_store(tmp_path)
    assert not is_store(folder / MANIFEST)


def test_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`path` must be a store .*\nHint: check the name"):
        open_store(tmp_path / "none")


def test_an_unfinished_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.partial").mkdir()
    for name in ("rows", "rows.partial"):
        with pytest.raises(FileNotFoundError, match="Hint: the shuffle is unfinished; call"):
            open_store(tmp_path / name)


@pytest.mark.parametrize("changes", [{"format": "another"}, {"version": 2}])
def test_another_format_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    change_manifest(folder, **changes)
    with pytest.raises(ValueError, match="must be of the format 'bayou store', version at most 1"):
        open_store(folder)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "bayou store", "version": 1, "fields": [{}]}']
)
def test_a_damaged_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(SourceError, match=r"manifest\.json` must be a manifest as bayou wrote"):
        open_store(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "0002-day.npy").unlink()
    message = r"0002-day\.npy` must hold the field `day` of the store, got no such file\.\nHint: re"
    with pytest.raises(SourceError, match=message):
        open_store(folder)


def test_a_file_cut_short_is_named(folder: Path) -> None:
    file = folder / "0000-price.npy"
    size = file.stat().st_size
    with file.open("rb+") as opened:
        opened.truncate(size - 3)
    message = rf"0000-price\.npy` must be as it was written, got {size - 3} bytes, of {size} by"
    with pytest.raises(SourceError, match=message):
        open_store(folder)


def overwrite(file: Path, offset: int, content: bytes) -> None:
    with file.open("rb+") as opened:
        opened.seek(offset)
        opened.write(content)


def test_a_header_that_is_damaged_is_named(folder: Path) -> None:
    overwrite(folder / "0000-price.npy", 0, b"abc")
    with pytest.raises(
        SourceError, match=r"0000-price\.npy` must .* got a header that cannot be read"
    ):
        open_store(folder)


def test_a_header_of_another_dtype_is_named(folder: Path) -> None:
    file = folder / "0000-price.npy"
    overwrite(file, 0, file.read_bytes()[:128].replace(b"<f8", b"<i8"))
    with pytest.raises(SourceError, match=r"0000-price\.npy` must .* got another dtype or shape"):
        open_store(folder)


def test_a_changed_value_is_found_by_its_checksum(folder: Path) -> None:
    overwrite(folder / "0003-code.npy", 5000, b"\x07")
    open_store(folder)
    with pytest.raises(SourceError, match=r"0003-code\.npy` must .* got another checksum"):
        open_store(folder, verify=True)


def test_a_file_that_is_cut_while_read_is_named(folder: Path) -> None:
    store = open_store(folder)
    with (folder / "0000-price.npy").open("rb+") as opened:
        opened.truncate(1000)
    message = r"0000-price\.npy` must not change while it is read, got 872 of the \d+ bytes of rows"
    with pytest.raises(SourceError, match=message):
        next(store.read(0, ["price"]))


def test_a_file_that_vanishes_while_read_is_named(folder: Path) -> None:
    store = open_store(folder)
    (folder / "0000-price.npy").unlink()
    with pytest.raises(SourceError, match=r"0000-price\.npy` must hold the field `price`"):
        next(store.read(0, ["price"]))
