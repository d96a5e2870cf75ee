"""What `source` and `scan` make of what they are given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

import bayou.sources as by
from bayou.preparation.shuffle import shuffle

TABLE = pa.table({"x": np.arange(6.0), "y": np.arange(6)})


class Three:
    """A user's own class: the three members, and no more."""

    def __init__(self, fields: dict[str, Any] | None = None, blocks: Any = (2, 1)) -> None:
        self.fields = {"x": by.Field("x", np.dtype(float))} if fields is None else fields
        self.blocks = blocks

    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        start = sum(self.blocks[:block])
        yield {name: np.arange(start, start + self.blocks[block], dtype=float) for name in names}


class Taking(Three):
    """One that has rows at random too."""

    num_rows = 3
    random_access = True
    num_dropped = 4

    def take(self, rows: np.ndarray, names: list[str]) -> by.Table:
        return {name: rows.astype(float) for name in names}


def test_a_source_is_itself() -> None:
    source = by.source(np.zeros(3))
    assert by.source(source) is source
    with pytest.raises(
        ValueError, match=r'"refuse" for what is a source already, got \'drop\'\.\n'
    ):
        by.source(source, nulls="drop")
    with pytest.raises(
        ValueError, match=r'"refuse" for what is a source already, got \'drop\'\.\n'
    ):
        by.source(Three(), nulls="drop")


def test_an_object_with_the_members_is_a_source() -> None:
    source = by.source(Three())
    assert (source.num_rows, source.num_dropped, source.random_access) == (3, 0, False)
    assert source["x"].num_rows == 3
    assert source.take(np.array([2, 0]), ["x"])["x"].tolist() == [2.0, 0.0]


def test_members_that_it_has_are_its_own() -> None:
    source = by.source(Taking())
    assert (source.num_rows, source.num_dropped, source.random_access) == (3, 4, True)
    assert source.take(np.array([2]), ["x"])["x"].tolist() == [2.0]
    with pytest.raises(ValueError, match=r"must be a field of the source, got 'z'\."):
        source.take(np.array([2]), ["z"])
    with pytest.raises(ValueError, match=r"must be a field of the source, got 'z'\."):
        next(source.read(0, ["z"]))


@pytest.mark.parametrize("fields", [{"x": "float"}, {"y": by.Field("x", np.dtype(float))}])
def test_fields_of_an_object_must_be_fields(fields: dict[str, Any]) -> None:
    wrong = r"`fields` must map the name of each field to a bayou.Field of that name, got "
    with pytest.raises(TypeError, match=wrong):
        by.source(Three(fields))


def test_an_object_with_nothing_in_it() -> None:
    with pytest.raises(ValueError, match=r"got no fields\."):
        by.source(Three({}))
    for blocks in ((), (0,)):
        with pytest.raises(ValueError, match=r"got no rows\."):
            by.source(Three(blocks=blocks))


@pytest.mark.parametrize("obj", [1.0, "rows.csv", Path("rows.csv"), [{"x": 1.0}], None])
def test_what_is_no_source(obj: object) -> None:
    wrong = rf"`obj` must be arrays, .*, got {type(obj).__name__}\.\nHint: for files, call bayou.sc"
    with pytest.raises(TypeError, match=wrong):
        by.source(obj)


def test_ways_with_nulls_are_checked() -> None:
    wrong = r"`nulls` must be one of 'refuse', 'drop', got 'keep'\.\nHint: \"refuse\" makes a null"
    with pytest.raises(ValueError, match=wrong):
        by.source(np.zeros(3), nulls="keep")
    with pytest.raises(ValueError, match=wrong):
        by.scan("rows.csv", nulls="keep")


def test_the_number_of_rows_is_checked() -> None:
    assert by.source(np.zeros(3), num_rows=3).num_rows == 3
    with pytest.raises(
        ValueError, match=r"`num_rows` must be the number of rows, 3, got 4\.\nHint"
    ):
        by.source(np.zeros(3), num_rows=4)


@pytest.mark.parametrize("kind", [None, "parquet", "csv", "ipc", "arrow", "feather"])
def test_formats_of_arrow(tmp_path: Path, kind: str | None) -> None:
    match kind:
        case "csv":
            pyarrow.csv.write_csv(TABLE, tmp_path / "rows.csv")
        case "ipc" | "arrow" | "feather":
            pyarrow.feather.write_feather(TABLE, str(tmp_path / "rows.arrow"))
        case _:
            pyarrow.parquet.write_table(TABLE, tmp_path / "rows.parquet")
    for what in (tmp_path, tmp_path / "*.*", [next(tmp_path.iterdir())]):
        source = by.scan(what, format=kind, columns=["y"])
        assert list(source.fields) == ["y"]
        assert source.take(np.array([5, 0]), ["y"])["y"].tolist() == [5, 0]


def test_nulls_of_formats_of_arrow(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"x": [1, None, 3]}), tmp_path / "rows.parquet")
    source = by.scan(tmp_path, nulls="drop")
    assert (source.num_rows, source.num_dropped) == (2, 1)


@pytest.mark.parametrize("kind", [None, "npy"])
def test_folders_globs_and_lists_of_arrays(tmp_path: Path, kind: str | None) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.arange(2) + 2 * number)
    for what in (
        tmp_path,
        tmp_path / "*.npy",
        str(tmp_path / "[0-2].npy"),
        [tmp_path / f"{number}.npy" for number in range(3)],
    ):
        source = by.scan(what, format=kind)
        rows = np.array([5, 0, 3, 5])
        assert source.take(rows, ["value"])["value"].tolist() == rows.tolist()
        assert (source.num_rows, source.random_access, list(source.blocks)) == (6, True, [2, 2, 2])
    with pytest.raises(IndexError, match=r"below the number of rows, 6, got 6\."):
        source.take(np.array([6]), ["value"])


def test_relative_paths_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save("x.npy", np.zeros(2))
    for what in ("x.npy", "*.npy", "~/x.npy", "~/*.npy"):
        assert by.scan(what).num_rows == 2


def test_parts_must_be_alike(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", x=np.zeros(2), y=np.zeros(2))
    np.savez(tmp_path / "1.npz", y=np.ones(2), x=np.ones(2))
    source = by.scan(tmp_path / "*.npz")
    assert source.take(np.array([0, 3]), ["y", "x"])["x"].tolist() == [0.0, 1.0]
    np.savez(tmp_path / "2.npz", x=np.zeros(2))
    with pytest.raises(ValueError, match=r"0.npz\), 'x', 'y', got 'x' in .*2.npz\.\nHint: choose"):
        by.scan(tmp_path / "*.npz")
    np.savez(tmp_path / "2.npz", x=np.zeros(2), y=np.zeros((2, 2), int))
    wrong = (
        r"got `y` of int64 and shape \(2,\) a row in .*2.npz, and of float64 and shape \(\) a row"
    )
    with pytest.raises(ValueError, match=wrong):
        by.scan(tmp_path / "*.npz")


@pytest.mark.parametrize("kind", [None, "store"])
def test_a_store(tmp_path: Path, kind: str | None) -> None:
    shuffle(by.source(TABLE), tmp_path / "store", random_seed=1)
    source = by.scan(tmp_path / "store", format=kind)
    assert (list(source.fields), source.num_rows, source.random_access) == (["x", "y"], 6, True)
    assert list(by.scan(tmp_path / "store", columns=["y"]).fields) == ["y"]
    with pytest.raises(ValueError, match=r"must be a field of the source, got 'z'\."):
        by.scan(tmp_path / "store", columns=["z"])


def test_unknown_formats() -> None:
    wrong = r"`format` must be one of parquet, ipc, csv, npy, npz, zarr, store, arrow, feather, got"
    with pytest.raises(ValueError, match=wrong):
        by.scan("rows.xlsx", format="xlsx")
    with pytest.raises((ValueError, FileNotFoundError), match=r"`(format|what)` must "):
        by.scan("rows.xlsx")


@pytest.mark.parametrize("what", ["none.npy", "none/*.npz", "none.zarr", "none.parquet", []])
def test_no_file_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"`what` must name (at least one file|files)"):
        by.scan(what)


def test_files_of_several_formats(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(2))
    np.savez(tmp_path / "x.npz", x=np.zeros(2))
    with pytest.raises(ValueError, match=r"must be files of one format, got '.*' with npy, npz\."):
        by.scan(tmp_path)
    assert by.scan(tmp_path, format="npy").num_rows == 2
    with pytest.raises(
        ValueError, match=r"of one format, got a format of Arrow, npy\.\nHint: scan"
    ):
        by.scan([tmp_path / "x.npy", "x.parquet"])


def test_mapped_files_are_on_this_machine(tmp_path: Path) -> None:
    wrong = (
        r"`filesystem` must be left out for the format npy, got <.*>\.\nHint: such files are map"
    )
    with pytest.raises(ValueError, match=wrong):
        by.scan("x.npy", filesystem=pa.fs.LocalFileSystem())


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        (3, TypeError, "`what` must be a path or a sequence of paths, got int.\nHint: name files"),
        (None, TypeError, "`what` must be a path or a sequence of paths, got NoneType."),
        (b"x.npy", TypeError, "`what` must be a path or a sequence of paths, got bytes."),
        (["x.npy", 3], TypeError, "a sequence of paths, got one that holds int."),
        ("", ValueError, "`what` must name files, got ''.\nHint: .* the working directory."),
        ({"a": [1]}, TypeError, "`what` must be a path or a sequence of paths, got dict."),
        (pa.table({"a": [1]}), TypeError, "a sequence of paths, got Table.\nHint: .*by.source."),
        (
            pd.DataFrame({"a": [1]}),
            TypeError,
            "a sequence of paths, got DataFrame.\n.*by.source.",
        ),
        ("a\0b.parquet", ValueError, "`what` must name files, which have no null character, got"),
        (["x.npy", ""], ValueError, "`what` must name files, got ''."),
    ],
)
def test_what_is_no_path(what: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        by.scan(what)
