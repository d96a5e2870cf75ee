"""Which files are found: by paths, lists, globs, folders and URLs, on any filesystem."""

from pathlib import Path
from typing import Any

import fsspec
import pytest
from pyarrow import fs

from bayou.sources.files.paths import find_files, locate

NAMES = (
    "a.parquet",
    "b.PQ",
    "c/d.parquet",
    "c/e/f.parquet",
    "_log/g.parquet",
    ".h.parquet",
    "notes.txt",
    "part-0",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "rows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "rows"


def found(what: Any, base: Path, **options: Any) -> list[str]:
    return [str(Path(file.path).relative_to(base)) for file in find_files(what, **options)[1]]


def test_a_folder_has_files_of_a_format_that_are_not_hidden(folder: Path) -> None:
    assert found(folder, folder) == ["a.parquet", "b.PQ", "c/d.parquet", "c/e/f.parquet"]
    told = found(folder, folder, format_name="parquet")
    assert told == ["a.parquet", "b.PQ", "c/d.parquet", "c/e/f.parquet", "part-0"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.parquet", ["a.parquet"]),
        ("[ab].*", ["a.parquet", "b.PQ"]),
        ("?/*.parquet", ["c/d.parquet"]),
        ("**/*.parquet", ["a.parquet", "c/d.parquet", "c/e/f.parquet"]),
        ("c/**/f.parquet", ["c/e/f.parquet"]),
        ("c/**", ["c/d.parquet", "c/e/f.parquet"]),
    ],
)
def test_globs(folder: Path, pattern: str, names: list[str]) -> None:
    assert found(folder / pattern, folder) == names
    if "?" not in pattern:
        assert found(f"file://{folder}/{pattern}", folder) == names


def test_lists_keep_their_order_and_names_may_hold_wildcards(folder: Path) -> None:
    (folder / "[1].parquet").write_bytes(b"x")
    files = [folder / "c/d.parquet", str(folder / "[1].parquet"), folder / "a*"]
    assert found(files, folder) == ["c/d.parquet", "[1].parquet", "a.parquet"]


def test_paths_from_the_working_directory_and_home(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    assert found(["a.parquet", "~/c/d.parquet"], folder) == ["a.parquet", "c/d.parquet"]


@pytest.mark.parametrize("what", ["none/*.parquet", "*.csv", []])
def test_nothing_is_found(folder: Path, what: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(
        FileNotFoundError, match=r"must name at least one file, got .*, which match"
    ):
        find_files(what)


def test_an_empty_folder_and_a_missing_file(folder: Path) -> None:
    (folder / "empty").mkdir()
    message = r"matches no file.\nHint: .* end in one of .csv, .tsv and begin with neither . nor _."
    with pytest.raises(FileNotFoundError, match=message):
        find_files(folder / "empty", "csv")
    with pytest.raises(FileNotFoundError, match=r"must name files that exist, got .*no.csv'"):
        find_files(folder / "no.csv")


def test_the_format_must_be_one_and_known(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"`format` must be one of parquet, ipc, csv, got 'xls'"):
        find_files(folder, "xls")
    with pytest.raises(ValueError, match=r"`format` must be given for files without a known s"):
        find_files(folder / "notes.txt")
    (folder / "z.csv").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"files of one format, got '.*parquet' and '.*z.csv'.\n"):
        find_files(folder)
    assert found(folder, folder, format_name="csv") == ["part-0", "z.csv"]
    assert find_files(folder / "notes.txt", "csv")[0] == "csv"


def test_filesystems_of_pyarrow_and_fsspec(folder: Path) -> None:
    below = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    assert [file.path for file in find_files("c", None, below)[1]] == [
        "c/d.parquet",
        "c/e/f.parquet",
    ]
    memory = fsspec.filesystem("memory")
    memory.pipe("/rows/1.parquet", b"x")
    memory.pipe("/rows/2.parquet", b"xy")
    try:
        for files in (
            find_files("/rows", None, memory)[1],
            find_files("memory://rows/*.parquet")[1],
            find_files("memory:///rows/[12].parquet")[1],
        ):
            assert [file.size for file in files] == [1, 2]
            assert not files[0].is_local
            files[0].check()
            with files[1].open() as handle:
                assert handle.read() == b"xy"
    finally:
        memory.rm("/rows", recursive=True)


def test_options_of_a_url_are_no_wildcards() -> None:
    where, path = locate("s3://bucket/a/*/b.parquet?region=eu-west-3")
    assert (where.region, path) == ("eu-west-3", "bucket/a/*/b.parquet")


def test_urls_that_nothing_opens() -> None:
    with pytest.raises(ValueError, match=r"`what` must be a URL that pyarrow or fsspec opens, go"):
        locate("nowhere://bucket/a.parquet")
    with pytest.raises(TypeError, match=r"`filesystem` must be one of pyarrow or fsspec, got int"):
        locate("a.parquet", 3)


@pytest.mark.parametrize(
    ("kind", "folders"),
    [("Delta", ["_delta_log"]), ("Hudi", [".hoodie"]), ("Iceberg", ["metadata", "data"])],
)
def test_tables_with_a_log_of_their_files(kind: str, folders: list[str], folder: Path) -> None:
    for name in folders:
        (folder / name).mkdir()
    message = rf"got the {kind} table '.*', whose files may hold rows that were deleted .*\nHint"
    with pytest.raises(ValueError, match=message):
        find_files(folder)
    assert found(folder / "*.parquet", folder) == ["a.parquet"]
