"""Columns that files have in common, by name and type; and folders that name columns."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from bayou.errors import SourceError
from bayou.sources.files.arrow import ArrowSource
from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import File
from bayou.sources.files.schema import (
    common_types,
    merge_categories,
    partition_types,
    partition_values,
)
from tests.sources.files.tables import NUMBERS, values, write


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
        (pa.uint64(), pa.int8()),
        (pa.bool_(), pa.int8()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.list_(pa.int64(), 1), pa.list_(pa.int64(), 2)),
        (pa.string(), pa.int64()),
        (pa.string(), pa.dictionary(pa.int32(), pa.string(), ordered=True)),
    ],
)
def test_a_column_of_another_type(one: Any, other: Any, tmp_path: Path) -> None:
    for number, kind in enumerate([one, other]):
        empty = pa.table({"x": pa.array([], kind), "y": pa.array([], pa.int8())})
        write(tmp_path / f"{number}.parquet", empty)
    with pytest.raises(TypeError, match="`x` must be of one type in all files, or of") as caught:
        ArrowSource(tmp_path)
    assert f"{one} in {tmp_path}/0.parquet and" in str(caught.value)
    assert f" in {tmp_path}/1.parquet.\nHint: write" in str(caught.value)
    with pytest.raises(ValueError, match=r"`what` must hold rows, got none in 2 files, the first"):
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


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([pa.array([1, 2], pa.int32()), pa.array([2**40])], np.array([1, 2, 2**40])),
        ([pa.array([2**40]), pa.array([1, 2], pa.int8())], np.array([2**40, 1, 2])),
        ([pa.array([0.5], pa.float32()), pa.array([0.1])], np.array([0.5, 0.1])),
        ([pa.array([7], pa.int32()), pa.array([0.1])], np.array([7, 0.1])),
        ([pa.nulls(0), pa.array([7])], np.array([7])),
        ([pa.array([1], pa.int8()), pa.array([1000], pa.int16()), pa.array([0.1])], [1, 1000, 0.1]),
        (
            [pa.array([1], pa.timestamp("us")), pa.array([3], pa.timestamp("ns"))],
            np.array([1000, 3], "M8[ns]"),
        ),
        ([pa.array(["a"]).dictionary_encode(), pa.array(["b"])], np.array(["a", "b"], object)),
        (
            [pa.array([Decimal("0.1")], pa.decimal128(9, 2)), pa.array([Decimal(2)])],
            np.array([0.1, 2]),
        ),
    ],
)
def test_types_of_which_one_holds_the_others(
    ending: str, columns: list[Any], expected: Any, tmp_path: Path
) -> None:
    for number, column in enumerate(columns):
        write(tmp_path / f"{number}.{ending}", pa.table({"x": column}))
    source = ArrowSource(tmp_path)
    found = values(source)["x"]
    np.testing.assert_array_equal(found, np.asarray(expected), strict=True)
    assert source.fields["x"].dtype == found.dtype


def test_nulls_beside_values(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", pa.table({"x": pa.nulls(2), "c": pa.nulls(2)}))
    words = pa.array(["a", "b"]).dictionary_encode()
    write(tmp_path / "2.parquet", pa.table({"x": [1, 2], "c": words}))
    with pytest.raises(ValueError, match=r"`x` must have no nulls, got one in row 0 of "):
        values(ArrowSource(tmp_path), "x")
    source = ArrowSource(tmp_path, nulls="drop")
    assert source.num_dropped == 2
    assert values(source)["x"].tolist() == [1, 2]
    assert values(source)["c"].tolist() == [0, 1]


def test_a_value_that_the_wider_type_does_not_hold(tmp_path: Path) -> None:
    far = pa.array([2**62], pa.timestamp("s"))
    write(tmp_path / "1.arrow", pa.table({"t": far}))
    write(tmp_path / "2.arrow", pa.table({"t": pa.array([1], pa.timestamp("ns"))}))
    with pytest.raises(
        SourceError, match=r"1.arrow` must be .* column 't', which is timestamp\[ns"
    ):
        values(ArrowSource(tmp_path))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_decimals_are_floats_or_integers(ending: str, tmp_path: Path) -> None:
    price = pa.array([Decimal("1.10"), None, Decimal("-3.33")], pa.decimal128(38, 18))
    count = pa.array([Decimal(3), Decimal(2**60), Decimal(-1)], pa.decimal128(38, 0))
    path = write(tmp_path / f"a.{ending}", pa.table({"price": price, "count": count}))
    assert values(ArrowSource(path), "count")["count"].tolist() == [3, 2**60, -1]
    assert values(ArrowSource(path, nulls="drop"))["price"].tolist() == [1.1, -3.33]
    large = pa.array([Decimal(2**63)], pa.decimal128(38, 0))
    write(path, pa.table({"count": large}))
    with pytest.raises(
        ValueError, match=r"`count` must hold whole numbers that int64 holds, got 9"
    ):
        values(ArrowSource(path))


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


# The functions by themselves.


class Listed(DataFile):
    """A file of a schema alone."""

    sizes = (1,)

    def __init__(self, path: str, schema: pa.Schema, **keys: str | None) -> None:
        self.file = File(fs.LocalFileSystem(), path, 0, None, tuple(keys.items()))
        self.schema = schema

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[Any]:
        raise NotImplementedError

    def describe_block(self, block: int) -> str:
        raise NotImplementedError


SCHEMA = pa.schema([("x", pa.float64()), ("s", pa.string()), ("n", pa.int32())])


@given(
    orders=st.lists(st.permutations(range(3)), min_size=1, max_size=4),
    columns=st.none() | st.lists(st.sampled_from("xsn"), min_size=1, unique=True),
    widths=st.lists(
        st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]), min_size=4
    ),
)
def test_columns_in_any_order_and_of_any_width_are_the_same(
    orders: list[list[int]], columns: list[str] | None, widths: list[Any]
) -> None:
    files = [
        Listed(str(place), pa.schema([SCHEMA.set(1, pa.field("s", width))[at] for at in order]))
        for place, (order, width) in enumerate(zip(orders, widths, strict=False))
    ]
    types = common_types(files, columns)
    names = [SCHEMA.names[at] for at in orders[0]]
    assert list(types) == [name for name in names if columns is None or name in columns]
    assert types == {name: SCHEMA.field(name).type for name in types}


def test_metadata_and_nullability_make_no_other_type() -> None:
    field = pa.field("x", pa.float64(), nullable=False, metadata={"unit": "miles"})
    files = [Listed("a", SCHEMA), Listed("b", SCHEMA.set(0, field).with_metadata({"by": "me"}))]
    assert list(common_types(files, None)) == SCHEMA.names


def test_a_partition_that_a_folder_lacks_is_refused() -> None:
    files = [Listed("a", SCHEMA, year="1", month="2"), Listed("b", SCHEMA, year="1")]
    with pytest.raises(ValueError, match=r"got `month` \(int64\) in a, not in b\.\nHint: name the"):
        common_types(files, None)
    assert list(common_types(files, ["x", "year"])) == ["x", "year"]


def test_promotions_of_arrow_that_lose_values_are_refused() -> None:
    for one, other in [(pa.int64(), pa.float64()), (pa.uint64(), pa.int64())]:
        schemas = [pa.schema([("n", kind)]) for kind in (one, other)]
        pa.unify_schemas(schemas, promote_options="permissive")
        with pytest.raises(TypeError, match="`n` must be of one type in all files"):
            common_types([Listed("a", schemas[0]), Listed("b", schemas[1])], None)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-20"], "int64"),
        (["007"], "int64"),
        ([None, "3"], "int64"),
        ([None], "int64"),
        (["9" * 18], "int64"),
        # Beyond what int32, the type of Arrow's partitions, and then what int64 holds.
        (["3000000000", "1"], "int64"),
        (["9" * 19], "dictionary"),
        (["1", "a"], "dictionary"),
        (["1.5"], "dictionary"),
        (["+1"], "dictionary"),
        (["٣"], "dictionary"),
        ([""], "dictionary"),
        (["-"], "dictionary"),
    ],
)
def test_partitions_are_whole_numbers_or_categories(texts: list[str | None], kind: str) -> None:
    files = [Listed(str(place), SCHEMA, k=text) for place, text in enumerate(texts)]
    found = partition_types(files)["k"]
    assert str(found).startswith(kind)
    for text in texts:
        values = partition_values(text, found, 3)
        assert len(values) == 3
        expected = int(text) if kind == "int64" and text is not None else text
        assert values.to_pylist() == [expected] * 3


@given(tables=st.lists(st.lists(st.text(max_size=2), unique=True).map(tuple), max_size=5))
def test_new_categories_are_appended(tables: list[tuple[str, ...]]) -> None:
    merged = merge_categories("c", tables, ordered=False)
    assert len(set(merged)) == len(merged)
    assert set(merged) == {word for table in tables for word in table}
    if tables:
        assert merged[: len(tables[0])] == list(tables[0])


@given(full=st.lists(st.text(max_size=2), unique=True, max_size=6), data=st.data())
def test_ordered_categories_keep_their_order(full: list[str], data: st.DataObject) -> None:
    keep = st.lists(st.booleans(), min_size=len(full), max_size=len(full))
    parts = [
        tuple(word for word, kept in zip(full, data.draw(keep), strict=True) if kept)
        for _ in range(3)
    ]
    tables = data.draw(st.permutations([*parts, tuple(full)]))
    assert merge_categories("c", tables, ordered=True) == full
    if len(full) > 1:
        with pytest.raises(ValueError, match="`c` is ordered, so its categories must be in one"):
            merge_categories("c", [tuple(full), (full[1], full[0])], ordered=True)
