"""CSV files: blocks of whole lines, one type for all texts of a column."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.errors import SourceError
from bayou.sources.files.arrow import ArrowSource
from bayou.sources.files.delimited import csv as delimited
from bayou.sources.files.delimited.csv_options import CsvOptions
from bayou.sources.files.paths import find_files
from tests.sources.files.tables import values


def csv(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_lines_are_found_by_one_pass(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 16)
    lines = "".join(f"{row},{row / 2},w{row}\r\n" for row in range(50))
    source = ArrowSource(csv(tmp_path / "a.csv", '"x", y,z\r\n' + lines.rstrip()))
    assert len(source.blocks) > 10
    assert source.num_rows == 50
    assert {name: field.dtype.name for name, field in source.fields.items()} == {
        "x": "int64",
        " y": "float64",
        "z": "object",
    }
    assert values(source)["x"].tolist() == list(range(50))
    assert values(source)[" y"].tolist() == [row / 2 for row in range(50)]
    assert values(source)["z"].tolist() == [f"w{row}" for row in range(50)]


@pytest.mark.parametrize(
    ("texts", "dtype"),
    [
        (["1", "2.5"], "float64"),
        (["NA", "2"], "int64"),
        (["1", "a"], "object"),
        (["true", "false"], "bool"),
        (["1", "true"], "object"),
        (["2013-01-01", "2013-01-01 10:00:00"], "datetime64[s]"),
        (["2013-01-01", "1.5"], "object"),
        (["2013-01-01 10:00:00Z", "2013-01-01 10:00:00.5Z"], "datetime64[ns]"),
        (["2013-01-01", "2013-01-01 10:00:00Z"], "object"),
    ],
)
def test_a_type_holds_all_texts_of_a_column(
    texts: list[str], dtype: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 4)
    path = csv(tmp_path / "a.csv", "k,x\n" + "".join(f"0,{text}\n" for text in texts))
    source = ArrowSource(path, nulls="drop")
    assert len(source.blocks) == 2 - ("NA" in texts)
    assert source.fields["x"].dtype == dtype
    assert len(values(source)["x"]) == source.num_rows


def test_numbers_of_files_have_one_type_and_text_is_refused(tmp_path: Path) -> None:
    csv(tmp_path / "1.csv", "x\n1\n2\n")
    csv(tmp_path / "2.csv", "x\n0.5\n")
    csv(tmp_path / "3.csv", "x\n")
    np.testing.assert_array_equal(values(ArrowSource(tmp_path))["x"], [1.0, 2.0, 0.5])
    csv(tmp_path / "4.csv", "x\noops\n")
    with pytest.raises(TypeError, match=r"got double in .*2.csv and string in .*4.csv.\nHint: co"):
        ArrowSource(tmp_path)


def test_nulls_in_csv(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "x,y,word\n1,0,\n,1,a\n3,NA,b\n")
    with pytest.raises(ValueError, match=r"`x` must have no nulls, got one in row 1 of"):
        values(ArrowSource(path), "x")
    source = ArrowSource(path, nulls="drop")
    assert values(source)["x"].tolist() == [1]
    assert values(source)["word"].tolist() == [""]


def test_lines_that_are_wrong(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "x,y\n1,2\n3\n")
    with pytest.raises(
        SourceError, match=r"in its bytes 4 to 9: CSV parse error: Row.*\nHint: check that line"
    ):
        ArrowSource(path)
    path = csv(tmp_path / "a.csv", "\n")
    with pytest.raises(SourceError, match=r"must begin with a line that names its columns, got n"):
        ArrowSource(path)


TYPES = [
    pa.null(),
    pa.bool_(),
    pa.int64(),
    pa.float64(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"),
    pa.string(),
]


@given(one=st.sampled_from(TYPES), other=st.sampled_from(TYPES))
def test_the_wider_of_two_types_does_not_depend_on_their_order(one: Any, other: Any) -> None:
    wider = delimited._wider_type(one, other)
    assert wider == delimited._wider_type(other, one)
    assert delimited._wider_type(one, one) == one
    assert delimited._wider_type(one, pa.null()) == one
    if wider is not None:
        assert delimited._wider_type(wider, one) == wider


@pytest.mark.parametrize(
    ("one", "other", "wider"),
    [
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.date32(), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC"), pa.timestamp("ns", "UTC")),
        (pa.timestamp("s"), pa.timestamp("s", "UTC"), None),
        (pa.bool_(), pa.int64(), None),
        (pa.string(), pa.int64(), None),
    ],
)
def test_types_that_hold_the_texts_of_two(one: Any, other: Any, wider: Any) -> None:
    assert delimited._wider_type(one, other) == wider


@given(
    rows=st.lists(st.integers(0, 10**6), min_size=1, max_size=40), block_bytes=st.integers(1, 60)
)
def test_blocks_of_any_size_hold_whole_lines(
    rows: list[int], block_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = csv(tmp_path_factory.mktemp("csv") / "a.csv", "n\n" + "\n".join(map(str, rows)))
    [file] = find_files(path)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_BYTES", block_bytes)
        [data] = delimited.open_csv([file], CsvOptions())
    assert sum(data.sizes) == len(rows)
    read = [
        number
        for block in range(len(data.sizes))
        for batch in data.batches(block, ["n"], 5)
        for number in batch["n"].to_pylist()
    ]
    assert read == rows
    assert {data.null_count(block, "n") for block in range(len(data.sizes))} == {0}


def test_names_in_another_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("größe,gewicht\n1,2\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"must be text encoded as utf-8, got the byte b'\\xf6'"):
        ArrowSource(path)


ROWS = "x,y\n1,2.5\n2,0.5\n"


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        (ROWS.replace(",", ";"), "separated by ';'"),
        (ROWS.replace(",", "\t"), r"separated by '\\t'"),
        (ROWS.replace(",", "|"), r"separated by '\|'"),
        (ROWS.replace(",", ";").replace(".", ","), "by ';' and written with decimals after ','"),
    ],
)
def test_files_are_read_as_they_look(text: str, looks: str, tmp_path: Path) -> None:
    csv(tmp_path / "1.csv", text)
    csv(tmp_path / "2.csv", text)
    with pytest.warns(
        UserWarning, match=rf"1.csv` looks .*{looks}, and is read so.\nHint: "
    ) as told:
        source = ArrowSource(tmp_path)
    assert len(told) == 1
    assert values(source)["x"].tolist() == [1, 2, 1, 2]
    assert values(source)["y"].tolist() == [2.5, 0.5, 2.5, 0.5]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (ROWS.replace(",", ";"), {"delimiter": ";"}),
        (ROWS.replace(",", ";").replace(".", ","), {"delimiter": ";", "decimal": ","}),
        (ROWS.replace(",", " "), {"delimiter": " "}),
        (f"made by hand\n\n{ROWS}", {"skip_rows": 1}),
        (f"\n\n{ROWS}", {}),
        (ROWS[4:], {"column_names": ("x", "y")}),
        (ROWS.replace("x,y", "a,b"), {"column_names": ("x", "y"), "header": 0}),
        (ROWS.replace("\n", "\r"), {}),
        (ROWS.replace("\n", ",\n"), {}),
        (f"\ufeff{ROWS}", {}),
        (f"\ufeff{ROWS[4:]}", {"column_names": ("x", "y")}),
    ],
)
def test_files_are_read_as_the_user_says(text: str, options: Any, tmp_path: Path) -> None:
    source = ArrowSource(csv(tmp_path / "a.csv", text), csv=CsvOptions(**options))
    found = values(source)
    assert {name: column.tolist() for name, column in found.items()} == {
        "x": [1, 2],
        "y": [2.5, 0.5],
    }
    assert next(iter(source.read(0, ["y"])))["y"].dtype == "float64"


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".zst", ".lz4"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_files_that_are_compressed_or_encoded(
    suffix: str, encoding: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 64)
    path = tmp_path / f"a.csv{suffix}"
    with pa.output_stream(path, compression="detect") as file:
        lines = "".join(f"{row},é{row},\n" for row in range(50))
        file.write(f"größe,word,none\n{lines}".encode(encoding))
    options = CsvOptions(encoding=None if encoding == "utf-16" else encoding)
    source = ArrowSource(path, columns=["größe", "word"], csv=options)
    is_plain = not suffix and encoding == "utf-8"
    assert (len(source.blocks) > 5) if is_plain else source.blocks == (50,)
    assert values(source)["größe"].tolist() == list(range(50))
    assert values(source)["word"].tolist() == [f"é{row}" for row in range(50)]
    if not suffix and encoding == "latin-1":
        with pytest.raises(
            SourceError, match=r"as utf-8, got the byte .*\nHint: pass the encoding"
        ):
            ArrowSource(path)


def test_text_of_another_encoding_far_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,word\n" + b"1,plain\n" * 20_000 + "2,Zürich\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"as utf-8, got b'Z\\xfcrich' in the column 'word'.\nH"):
        ArrowSource(path)


def test_a_compressed_file_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode() * 1000)[:-20])
    with pytest.raises(
        SourceError, match=r"a.csv.gz` must be readable.*\nHint: the file is damaged"
    ):
        ArrowSource(path)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(
        SourceError, match=r"must be compressed by gzip, .*, got zip.\nHint: unpack"
    ):
        ArrowSource(path)


@pytest.mark.parametrize("block_bytes", [20, 64, 10**6])
def test_line_breaks_within_quotes(block_bytes: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block_bytes)
    words = [f'"{"a" * (row % 7)}\nb"' if row % 3 else "plain" for row in range(40)]
    lines = "".join(f"{row},{word}\n" for row, word in enumerate(words))
    source = ArrowSource(csv(tmp_path / "a.csv", f"x,word\n{lines}"))
    assert values(source)["word"].tolist() == [word.strip('"') for word in words]
    assert values(source)["x"].tolist() == list(range(40))


def test_a_single_quote_is_text(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 100)
    monkeypatch.setattr(delimited, "QUOTED_BYTES", 50)
    lines = "".join(f'{row},5" pipe\n' if row == 3 else f"{row},pipe\n" for row in range(100))
    source = ArrowSource(csv(tmp_path / "a.csv", f"x,word\n{lines}"))
    assert len(source.blocks) > 5
    assert values(source)["x"].tolist() == list(range(100))
