from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou import get_data
from bayou.datasets import shipped as data_file

SHA256 = {
    "cty.dat": "5aa648547b9b565d77b9f55defd2f292520441cc6df7a27206802006dade7b63",
    "nycflights13.parquet": "fedc8e733f092ff292bb2314be1bee1d424a3b2629e3747752110a16cec9f102",
    "srrs2.dat": "241219ed05d4bf7dc171ca279c69db7f8d87ae666feae86161c973483a054877",
    "wells.dat": "2eac98df0d870791bb352063392907a1fa89bbfab6524d51a1bea089daeba4b2",
}

NOT_BELOW_THE_FOLDER = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "a/../../b",
    "a/../b",
    "a//b",
    "a/",
    "./a",
    "..\\x",
    "a\\b",
    "\\\\server\\share",
    "C:\\x",
    "C:x",
    "file:///etc/passwd",
    "x\0.csv",
    "x\n.csv",
    ".. /x",
    "... /x",
]


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name that is asked of the network, which answers with the name itself."""
    asked: list[str] = []

    def download(filename: str, *, hint: str) -> bytes:
        asked.append(filename)
        return filename.encode()

    monkeypatch.setattr(data_file, "download", download)
    return asked


@pytest.mark.parametrize("filename", SHA256)
def test_shipped_file_is_returned_whole_and_without_a_download(
    filename: str, downloads: list[str]
) -> None:
    data = get_data(filename)
    assert isinstance(data, BytesIO)
    assert data.tell() == 0
    assert hashlib.sha256(data.read()).hexdigest() == SHA256[filename]
    assert downloads == []


def test_each_call_returns_a_buffer_of_its_own() -> None:
    first = get_data("cty.dat")
    first.seek(100)
    assert get_data("cty.dat").tell() == 0


def test_text_file_is_read_by_pandas() -> None:
    assert pd.read_csv(get_data("srrs2.dat")).shape == (12_777, 25)
    assert pd.read_csv(get_data("cty.dat")).shape == (3_194, 7)
    assert pd.read_csv(get_data("wells.dat"), sep=" ").shape == (3_020, 6)


def test_parquet_file_is_read_by_pyarrow() -> None:
    flights = pq.ParquetFile(get_data("nycflights13.parquet"))
    assert (flights.metadata.num_rows, flights.metadata.num_columns) == (336_776, 13)


def test_every_shipped_file_is_described_with_its_licence() -> None:
    folder = Path(data_file.__file__).parent
    table = (folder / "README.md").read_text(encoding="utf-8")
    assert sorted(file.name for file in (folder / "files").iterdir()) == sorted(SHA256)
    assert all(f"| `{filename}` |" in table for filename in SHA256)


@pytest.mark.parametrize("filename", ["radon.csv", "folder/radon 2.csv", "..csv.gz", "ü.csv"])
def test_other_name_is_downloaded(filename: str, downloads: list[str]) -> None:
    assert get_data(filename).read() == filename.encode()
    assert downloads == [filename]


@pytest.mark.parametrize("filename", NOT_BELOW_THE_FOLDER)
def test_path_out_of_the_folder_is_refused(filename: str, downloads: list[str]) -> None:
    with pytest.raises(ValueError, match="must be a path below the data folder, got") as caught:
        get_data(filename)
    assert repr(filename) in str(caught.value)
    assert '\nHint: join its parts with "/", without "..", a leading' in str(caught.value)
    assert downloads == []


@given(st.text(st.sampled_from("./\\: ~\0ab")))
def test_accepted_name_stays_below_any_folder(filename: str) -> None:
    try:
        data_file._check_filename(filename)
    except ValueError:
        return
    folder = Path("/data/folder")
    path = (folder / filename).resolve()
    assert folder in path.parents
    assert path.relative_to(folder).as_posix() == filename


@pytest.mark.parametrize("filename", [None, 3, b"cty.dat", Path("cty.dat")])
def test_name_that_is_no_str_is_a_type_error(filename: object) -> None:
    with pytest.raises(TypeError, match=r"`filename` must be a str, got .*\nHint: pass the name"):
        get_data(filename)  # type: ignore[arg-type]
