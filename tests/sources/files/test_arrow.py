"""Files through pyarrow: exact values, or an error that says where they are not."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayou.errors import SourceError
from bayou.sources.files import arrow, ipc
from bayou.sources.files.arrow import ArrowSource
from tests.sources.files.tables import NUMBERS, values, write


def open_files() -> set[str]:
    """Return what this process holds open, less what lies outside of temporary folders."""
    links = Path("/proc/self/fd").iterdir()
    return {target for link in links if "test_" in (target := os.path.realpath(link))}


COLUMNS = {
    "bool": st.booleans(),
    "int8": st.integers(-(2**7), 2**7 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float16": st.floats(width=16),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "datetime64[D]": st.integers(-10_000, 10_000),
    "datetime64[us]": st.integers(-(2**60), 2**60),
    "timedelta64[ms]": st.integers(-(2**60), 2**60),
}


@settings(max_examples=40)
@given(data=st.data())
def test_any_table_comes_back_from_blocks_of_any_size(
    data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    length = data.draw(st.integers(1, 30))
    kinds = data.draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4))
    table = {}
    for place, kind in enumerate(kinds):
        drawn = data.draw(st.lists(COLUMNS[kind], min_size=length, max_size=length))
        first = np.int64 if kind[-1] == "]" else kind
        table[f"{place}"] = np.array(drawn, dtype=first).astype(kind)
    pairs = data.draw(st.lists(st.integers(-9, 9), min_size=2 * length, max_size=2 * length))
    table["pair"] = np.array(pairs, dtype=np.int32).reshape(length, 2)
    stored = pa.table(
        {
            name: pa.FixedSizeListArray.from_arrays(array.ravel(), 2)
            if name == "pair"
            else pa.array(array, from_pandas=False)
            for name, array in table.items()
        }
    )
    folder = tmp_path_factory.mktemp("any")
    ending = data.draw(st.sampled_from([".parquet", ".arrow", ".feather"]))
    path = write(folder / f"rows{ending}", stored, data.draw(st.integers(1, 31)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow, "PIECE_BYTES", data.draw(st.integers(1, 400)))
        patch.setattr(ipc, "BLOCK_ROWS", data.draw(st.integers(1, 40)))
        source = ArrowSource(path)
        assert sum(source.blocks) == source.num_rows == length
        for name, array in values(source).items():
            np.testing.assert_array_equal(array, table[name], strict=True)
        rows = np.array(data.draw(st.lists(st.integers(0, length - 1), max_size=20)), np.int64)
        for name, array in source.take(rows, list(table)).items():
            np.testing.assert_array_equal(array, table[name][rows], strict=True)


def test_a_source_is_pickled_with_what_it_knows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", NUMBERS)
    source = pickle.loads(pickle.dumps(ArrowSource(path)))
    np.testing.assert_array_equal(values(source)["x"], np.arange(10) / 4)
    path.write_text("x,y\n1,2\n")
    with pytest.raises(SourceError, match="must not change"):
        values(pickle.loads(pickle.dumps(source)))


def test_two_threads_read_at_once(tmp_path: Path) -> None:
    source = ArrowSource(write(tmp_path / "a.parquet", NUMBERS))
    with ThreadPoolExecutor(2) as executor:
        for found in executor.map(lambda _: values(source), range(8)):
            np.testing.assert_array_equal(found["y"], np.arange(10))


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather", "csv"])
def test_no_file_stays_open(ending: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(arrow, "PIECE_BYTES", 16)
    path = write(tmp_path / f"a.{ending}", NUMBERS)
    source = ArrowSource(path)
    before = open_files()
    assert str(path) not in before
    pieces = source.read(0, ["x"])
    held = [next(pieces)]
    pieces.close()
    held += source.read(0, ["x"])
    assert str(path) not in open_files()
    path.unlink()
    assert held[0]["x"][0] == 0


def coded(words: str, table: str, ordered: bool = False) -> pa.Table:
    found = pa.array([table.index(word) for word in words], pa.int8())
    column = pa.DictionaryArray.from_arrays(found, pa.array(list(table)), ordered=ordered)
    return pa.table({"c": column})


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
def test_categories_are_one_table_for_all_files(ending: str, tmp_path: Path) -> None:
    write(tmp_path / f"1.{ending}", coded("bab", "ab"))
    write(tmp_path / f"2.{ending}", coded("cba", "cba"))
    source = ArrowSource(tmp_path)
    assert source.fields["c"].categories == ("a", "b", "c")
    assert source.fields["c"].dtype == np.int32
    found = values(source)["c"]
    assert "".join("abc"[code] for code in found) == "babcba"


def test_categories_of_row_groups_are_one_table(tmp_path: Path) -> None:
    schema = pa.schema([("c", pa.dictionary(pa.int8(), pa.string()))])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for words, table in (("aab", "ab"), ("ddc", "cd"), ("da", "da")):
            writer.write_table(coded(words, table))
    source = ArrowSource(tmp_path / "a.parquet")
    assert source.blocks == (3, 3, 2)
    assert "".join(source.fields["c"].categories[code] for code in values(source)["c"]) == (
        "aabddcda"
    )


def test_the_order_of_categories_must_be_clear(tmp_path: Path) -> None:
    write(tmp_path / "1.arrow", coded("ac", "ac", ordered=True))
    write(tmp_path / "2.arrow", coded("cab", "abc", ordered=True))
    source = ArrowSource(tmp_path)
    assert source.fields["c"].categories == ("a", "b", "c")
    assert values(source)["c"].tolist() == [0, 2, 2, 0, 1]
    write(tmp_path / "3.arrow", coded("a", "ba", ordered=True))
    with pytest.raises(ValueError, match=r"in all files, got 'b', 'a' and 'a', 'b', 'c'.\nHint:"):
        ArrowSource(tmp_path)


def test_categories_of_pandas_and_polars(tmp_path: Path) -> None:
    words, table = ["b", "a", "b"], ["z", "b", "a"]
    pd.DataFrame({"c": pd.Categorical(words, table)}).to_parquet(tmp_path / "1.parquet")
    enum = pl.DataFrame({"c": pl.Series(words, dtype=pl.Enum(table))})
    enum.write_parquet(tmp_path / "2.parquet")
    enum.write_ipc(tmp_path / "3.arrow", compression="lz4")
    for path in tmp_path.iterdir():
        source = ArrowSource(path)
        assert source.fields["c"].categories == ("z", "b", "a")
        assert values(source)["c"].tolist() == [1, 2, 1]


def holed() -> pa.Table:
    x = [0.5, None, float("nan"), 3.0, 4.0, 5.0]
    pair = [[0, 1], [2, 3], [4, None], None, [8, 9], [10, 11]]
    return pa.table(
        {
            "row": range(6),
            "x": x,
            "pair": pa.array(pair, pa.list_(pa.int16(), 2)),
            "c": pa.array(["a", "b", "a", "b", None, "a"]).dictionary_encode(),
        }
    )


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
def test_nulls_are_refused_where_they_are_met(ending: str, tmp_path: Path) -> None:
    for name in ("1", "2"):
        write(tmp_path / f"{name}.{ending}", NUMBERS if name == "1" else holed(), 3)
    source = ArrowSource(tmp_path / f"2.{ending}")
    for name, row in (("x", 1), ("pair", 2), ("c", 4)):
        message = rf"`{name}` must have no nulls, got one in row {row} of .*2.{ending}.\nHint:"
        with pytest.raises(ValueError, match=message):
            values(source, name)
    assert values(source, "row")["row"].tolist() == list(range(6))


@pytest.mark.parametrize("piece", [1, 10**6])
@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
def test_rows_with_nulls_are_dropped(
    ending: str, piece: int, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(arrow, "PIECE_BYTES", piece)
    monkeypatch.setattr(ipc, "BLOCK_ROWS", 3)
    path = write(tmp_path / f"2.{ending}", holed(), 3)
    source = ArrowSource(path, nulls="drop")
    assert (source.num_rows, source.num_dropped) == (2, 4)
    assert source.blocks == (1, 1)
    found = values(source)
    assert found["row"].tolist() == [0, 5]
    assert found["pair"].tolist() == [[0, 1], [10, 11]]
    assert found["c"].tolist() == [0, 0]
    # Which rows they are does not depend on the fields that are read.
    assert values(source, "row")["row"].tolist() == [0, 5]
    assert source.take(np.array([1, 0, 1]), ["row"])["row"].tolist() == [5, 0, 5]
    some = ArrowSource(path, columns=["row", "x"], nulls="drop")
    assert (some.blocks, some.num_dropped) == ((2, 3), 1)
    np.testing.assert_array_equal(values(some)["x"], [0.5, np.nan, 3, 4, 5])


def test_columns_without_nulls_are_not_passed_through(tmp_path: Path, monkeypatch: Any) -> None:
    path = write(tmp_path / "a.parquet", holed().select(["row", "x"]), 3)
    calls = []
    batches = arrow._batches

    def spy(block: Any, *rest: Any) -> Any:
        calls.append(rest[:2])
        return batches(block, *rest)

    monkeypatch.setattr(arrow, "_batches", spy)
    source = ArrowSource(path, nulls="drop")
    assert calls == [(0, ["x"])]
    assert source.blocks == (2, 3)


def test_nulls_in_every_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", pa.table({"x": pa.array([None] * 5, pa.float64())}))
    with pytest.raises(
        ValueError, match=r"`nulls` must leave at least one row, got a null in each of 5"
    ):
        ArrowSource(path, nulls="drop")
    with pytest.raises(ValueError, match=r"`nulls` must be one of 'refuse', 'drop', got 'keep'"):
        ArrowSource(path, nulls="keep")


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
def test_a_file_that_was_cut_off(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{ending}", NUMBERS)
    data = path.read_bytes()
    for keep in (0, 7, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:keep])
        with pytest.raises(
            SourceError, match=r"must be readable, got an error in its metadata: .*\nHi"
        ):
            ArrowSource(path)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather", "csv"])
def test_a_file_that_goes_or_changes(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{ending}", NUMBERS)
    source = ArrowSource(path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(SourceError, match=rf"`{path}` must not change while it is read, got"):
        list(source.read(0, ["x"]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert values(source, "x")["x"][9] == 2.25
    path.rename(tmp_path / "away")
    with pytest.raises(SourceError, match=r"must stay while it is read, got no such file any more"):
        list(source.read(0, ["x"]))


def test_fewer_rows_than_said(tmp_path: Path, monkeypatch: Any) -> None:
    source = ArrowSource(write(tmp_path / "a.parquet", NUMBERS))
    batches = type(source._blocks[0].data).batches
    monkeypatch.setattr(
        type(source._blocks[0].data), "batches", lambda *rest: [b.slice(1) for b in batches(*rest)]
    )
    message = r"must hold 4 rows in its row group 1 \(rows 4 to 7\), got 3.\nHint: the file is dam"
    with pytest.raises(SourceError, match=message):
        list(source.read(1, ["x"]))
