"""Files through pyarrow: matched by name, exact, whole, or an error that says where it is not."""

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
from bayou.sources.files import arrow, ipc, parquet
from bayou.sources.files import csv as delimited
from bayou.sources.files.arrow import ArrowSource

NUMBERS = pa.table({"x": np.arange(10) / 4, "y": np.arange(10)})


def write(path: Path, table: pa.Table, rows: int = 4) -> Path:
    """Write a table in the format that the name tells, so many rows a block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        compression = "zstd" if path.suffix == ".feather" else "uncompressed"
        pyarrow.feather.write_feather(table, path, chunksize=rows, compression=compression)
    return path


def values(source: Any, *names: str) -> dict[str, np.ndarray]:
    """Read all blocks."""
    names = names or tuple(source.fields)
    tables = [table for block in range(len(source.blocks)) for table in source.read(block, names)]
    return {name: np.concatenate([table[name] for table in tables]) for name in names}


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


def test_blocks_are_row_groups_in_pieces(tmp_path: Path, monkeypatch: Any) -> None:
    source = ArrowSource(write(tmp_path / "a.parquet", NUMBERS))
    assert source.blocks == (4, 4, 2)
    assert not source.random_access
    monkeypatch.setattr(arrow, "PIECE_BYTES", 3 * 8)
    assert [len(table["y"]) for table in source.read(0, ["y"])] == [2, 2]
    assert [table["y"].tolist() for table in source.read(2, ["y"])] == [[8, 9]]


def test_a_large_row_group_is_not_held_whole(tmp_path: Path, monkeypatch: Any) -> None:
    table = pa.table({"x": np.random.default_rng(0).normal(size=10**6)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10**6, use_dictionary=False)
    monkeypatch.setattr(arrow, "PIECE_BYTES", 2**16)
    before = pa.total_allocated_bytes()
    most = max(
        pa.total_allocated_bytes() - before
        for _ in ArrowSource(tmp_path / "a.parquet").read(0, ["x"])
    )
    assert most < table.nbytes / 2


def test_a_row_group_of_one_piece_takes_no_more_than_its_values(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2 * 10**4, 50))
    table = pa.table({f"x{number}": column for number, column in enumerate(values.T)})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    source = ArrowSource(tmp_path / "a.parquet")
    allocator = parquet._allocator() or pa.default_memory_pool()
    before = allocator.bytes_allocated()
    most = max(allocator.bytes_allocated() for _ in source.read(0, list(source.fields)))
    assert table.nbytes <= most - before < 1.1 * table.nbytes


def test_small_record_batches_are_one_block(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(ipc, "BLOCK_ROWS", 6)
    assert ArrowSource(write(tmp_path / "a.arrow", NUMBERS, 3)).blocks == (6, 4)


def test_numbers_are_not_copied(tmp_path: Path) -> None:
    [table] = ArrowSource(write(tmp_path / "a.parquet", NUMBERS)).read(0, ["x"])
    assert not table["x"].flags.owndata


def test_mapped_values_are_the_readers_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arrow", NUMBERS)
    [*tables] = ArrowSource(path).read(0, ["y"])
    path.write_bytes(b"")
    assert [value for table in tables for value in table["y"]] == list(range(10))


def test_dots_and_lookalikes_in_names(tmp_path: Path) -> None:
    table = pa.table({"a": [1], "a.b": [2.5], "a.b.c": [3]})
    source = ArrowSource(write(tmp_path / "a.parquet", table), nulls="drop")
    assert {name: array.tolist() for name, array in values(source).items()} == {
        "a": [1],
        "a.b": [2.5],
        "a.b.c": [3],
    }


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


# Files that go together.


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv"])
def test_columns_in_another_order_are_matched(ending: str, tmp_path: Path) -> None:
    write(tmp_path / f"1.{ending}", NUMBERS)
    write(tmp_path / f"2.{ending}", NUMBERS.select(["y", "x"]))
    source = ArrowSource(tmp_path)
    assert list(source.fields) == ["x", "y"]
    np.testing.assert_array_equal(values(source)["x"], np.tile(np.arange(10) / 4, 2))
    assert source.paths == (str(tmp_path / f"1.{ending}"), str(tmp_path / f"2.{ending}"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv"])
def test_a_column_that_a_file_lacks(ending: str, order: Any, tmp_path: Path) -> None:
    tables = [NUMBERS, NUMBERS.append_column("more", [range(10)])]
    for place, table in enumerate(order):
        write(tmp_path / f"{place}.{ending}", tables[table])
    has, lacks = (str(tmp_path / f"{order.index(table)}.{ending}") for table in (1, 0))
    with pytest.raises(ValueError, match=r"Every file must hold the same columns") as caught:
        ArrowSource(tmp_path)
    assert f"got `more` (int64) in {has}, not in {lacks}.\nHint: " in str(caught.value)
    assert ArrowSource(tmp_path, columns=["y", "x"]).num_rows == 20


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.float64()),
        (pa.int32(), pa.int64()),
        (pa.float32(), pa.float64()),
        (pa.timestamp("us"), pa.timestamp("ns")),
        (pa.list_(pa.int64(), 1), pa.list_(pa.int64(), 2)),
        (pa.string(), pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_a_column_of_another_type(one: Any, other: Any, tmp_path: Path) -> None:
    for number, kind in enumerate([one, other]):
        empty = pa.table({"x": pa.array([], kind), "y": pa.array([], pa.int8())})
        write(tmp_path / f"{number}.parquet", empty)
    with pytest.raises(TypeError, match="`x` must be of one type in all files, got") as caught:
        ArrowSource(tmp_path)
    assert f"{one} in {tmp_path}/0.parquet and" in str(caught.value)
    assert f" in {tmp_path}/1.parquet.\nHint: write" in str(caught.value)
    with pytest.raises(ValueError, match=r"`what` must hold rows, got 2 files without any, the"):
        ArrowSource(tmp_path, columns=["y"])


def test_widths_of_text_and_codes_are_one_type(tmp_path: Path) -> None:
    words = pa.array(["a", "b"])
    for number, kind in enumerate([pa.large_string(), pa.string_view(), pa.string()]):
        table = {"s": words.cast(kind), "c": words.dictionary_encode()}
        if number:
            table["c"] = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int8()), words)
        write(tmp_path / f"{number}.arrow", pa.table(table))
    source = ArrowSource(tmp_path)
    assert values(source)["s"].tolist() == ["a", "b"] * 3
    assert values(source)["c"].tolist() == [0, 1, 1, 0, 1, 0]


def test_columns_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", NUMBERS)
    assert list(ArrowSource(path, columns=["y"]).fields) == ["y"]
    with pytest.raises(ValueError, match=r"got 'z'.\nHint: the columns are 'x', 'y'."):
        ArrowSource(path, columns=["z"])
    with pytest.raises(ValueError, match=r"`columns` must name a column once, got 'x' twice."):
        ArrowSource(path, columns=["x", "y", "x"])
    for wrong in ("x", []):
        with pytest.raises(ValueError, match=r"`columns` must list names of columns, at least"):
            ArrowSource(path, columns=wrong)


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    path = write(tmp_path / "a.parquet", table)
    (tmp_path / "a.csv").write_text("x,x\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"got `x` twice in .*a.csv.\nHint: rename the columns"):
        ArrowSource(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"got `x` twice in .*a.parquet.\nHint: rename the col"):
        ArrowSource(path)


def test_decimals_are_refused(tmp_path: Path) -> None:
    price = pa.array([1, 2], pa.decimal128(9, 2))
    path = write(tmp_path / "a.parquet", pa.table({"price": price, "x": [1.0, 2.0]}))
    message = r"`price` must be of a type that NumPy has, got decimal128\(9, 2\).\nHint: write it"
    with pytest.raises(TypeError, match=message):
        ArrowSource(path)
    assert ArrowSource(path, columns=["x"]).num_rows == 2


# Categories.


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


# Folders that name columns.


def test_folders_are_columns(tmp_path: Path) -> None:
    for year in (2012, 2013):
        for carrier in ("A B", "UA"):
            folder = tmp_path / f"year={year}" / f"carrier={carrier.replace(' ', '%20')}"
            write(folder / "rows.parquet", NUMBERS.slice(0, 5))
    source = ArrowSource(tmp_path)
    assert list(source.fields) == ["x", "y", "year", "carrier"]
    assert source.fields["carrier"].categories == ("A B", "UA")
    found = values(source, "carrier", "x", "year")
    assert found["year"].dtype == np.int64
    assert found["year"].tolist() == [2012] * 10 + [2013] * 10
    assert found["carrier"].tolist() == ([0] * 5 + [1] * 5) * 2
    assert values(source, "year")["year"].tolist() == found["year"].tolist()
    glob = ArrowSource(tmp_path / "year=*" / "carrier=UA" / "*.parquet", columns=["carrier"])
    assert glob.fields["carrier"].categories == ("UA",)
    assert glob.num_rows == 10


def test_a_folder_without_a_value_is_a_null(tmp_path: Path) -> None:
    for year, word in (("__HIVE_DEFAULT_PARTITION__", "x"), ("2013", "__HIVE_DEFAULT_PARTITION__")):
        write(tmp_path / f"year={year}" / f"word={word}" / "a.parquet", NUMBERS)
    with pytest.raises(
        ValueError, match=r"`year` must have no nulls, got one in row 10 of .*year="
    ):
        values(ArrowSource(tmp_path, columns=["year"]))
    with pytest.raises(ValueError, match=r"`word` must have no nulls, got one in row 0 of"):
        values(ArrowSource(tmp_path, columns=["word"]))
    source = ArrowSource(tmp_path, columns=["year", "x"], nulls="drop")
    assert (source.num_rows, source.num_dropped) == (10, 10)


def test_a_folder_named_as_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "x=1" / "a.parquet", NUMBERS)
    with pytest.raises(ValueError, match=r"got `x` twice in .*\nHint: rename the folders, or pass"):
        ArrowSource(tmp_path)
    assert ArrowSource([path]).num_rows == 10


# Nulls.


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
    with pytest.raises(ValueError, match=r"`nulls` must leave a row, got a null in each of 5"):
        ArrowSource(path, nulls="drop")
    with pytest.raises(ValueError, match=r"`nulls` must be one of 'refuse', 'drop', got 'keep'"):
        ArrowSource(path, nulls="keep")


# CSV.


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
    with pytest.raises(TypeError, match=r"got double in .*2.csv and string in .*4.csv.\nHint: me"):
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
    with pytest.raises(SourceError, match=r"got a fault in its bytes 4 to 9: CSV parse error: Row"):
        ArrowSource(path)
    path = csv(tmp_path / "a.csv", "\n")
    with pytest.raises(SourceError, match=r"must begin with a line that names its columns, got n"):
        ArrowSource(path)


# Faults.


def spoil(path: Path, start: int, count: int) -> None:
    """Overwrite bytes, and leave size and time of change as they were."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[start : start + count] = bytes(255 - byte for byte in data[start : start + count])
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_damaged_row_group(tmp_path: Path) -> None:
    table = pa.table({"x": np.random.default_rng(0).normal(size=300)})
    path = tmp_path / "a.parquet"
    plain = {"use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table, path, row_group_size=100, **plain)
    source = ArrowSource(path)
    spoil(path, pq.read_metadata(path).row_group(1).column(0).data_page_offset + 400, 40)
    message = r"a.parquet` must be whole, got a fault in its row group 1 \(rows 100 to 199\): .*CRC"
    with pytest.raises(SourceError, match=message):
        list(source.read(1, ["x"]))
    assert len(next(source.read(2, ["x"]))["x"]) == 100


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
def test_a_file_that_was_cut_off(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{ending}", NUMBERS)
    data = path.read_bytes()
    for keep in (0, 7, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:keep])
        with pytest.raises(
            SourceError, match=r"must be whole, got a fault in its metadata: .*\nHi"
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
    with pytest.raises(SourceError, match=r"must stay while it is read, got no such file any mor"):
        list(source.read(0, ["x"]))


def test_a_mapped_file_that_is_cut_off_between_pieces(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(arrow, "PIECE_BYTES", 16)
    path = write(tmp_path / "a.arrow", NUMBERS, 10)
    pieces = ArrowSource(path).read(0, ["x"])
    next(pieces)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"must not change while it is read, got 0 bytes"):
        next(pieces)


def test_fewer_rows_than_said(tmp_path: Path, monkeypatch: Any) -> None:
    source = ArrowSource(write(tmp_path / "a.parquet", NUMBERS))
    batches = type(source._blocks[0].data).batches
    monkeypatch.setattr(
        type(source._blocks[0].data), "batches", lambda *rest: [b.slice(1) for b in batches(*rest)]
    )
    message = r"must hold 4 rows in its row group 1 \(rows 4 to 7\), got 3.\nHint: the file is dam"
    with pytest.raises(SourceError, match=message):
        list(source.read(1, ["x"]))
