"""What the metadata of files tell without reading: nulls by field, and bounds of whole numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bayou as by

TABLE = pa.table(
    {
        "x": [0.5, None, None, 1.5],
        "count": pa.array([3, 7, None, -2], pa.int16()),
        "pair": pa.array([[1, 2], [None, 3], [4, 5], [6, 7]], pa.list_(pa.int64(), 2)),
        "full": [1, 2, 3, 4],
    }
)


def scan(path: Path, statistics: Any = True, **options: Any) -> by.Source:
    pq.write_table(TABLE, path, row_group_size=2, write_statistics=statistics)
    return by.scan(path, **options)


@pytest.mark.parametrize("nulls", ["refuse", "drop"])
def test_nulls_are_counted_by_field(nulls: str, tmp_path: Path) -> None:
    source = scan(tmp_path / "rows.parquet", nulls=nulls)
    # Of several numbers a row, it is not told how many rows they are missing in.
    assert source.null_counts() == {"x": 2, "count": 1, "pair": None, "full": 0}
    assert {field.name: field.nulls for field in by.inspect(source).fields} == source.null_counts()


def test_files_without_statistics_do_not_tell(tmp_path: Path) -> None:
    source = scan(tmp_path / "rows.parquet", statistics=["full"])
    assert source.null_counts() == {"x": None, "count": None, "pair": None, "full": 0}
    assert [source.bounds(block, "count") for block in range(2)] == [None, None]


def test_a_folder_without_a_value_is_null_in_all_its_rows(tmp_path: Path) -> None:
    for year in ("2013", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"year={year}").mkdir()
        scan(tmp_path / f"year={year}" / "rows.parquet")
    assert by.scan(tmp_path).null_counts()["year"] == 4
    assert by.scan(tmp_path).bounds(0, "year") is None


def test_lines_tell_where_there_is_no_null(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,y\n1,2\n,4\n")
    assert by.scan(tmp_path / "rows.csv").null_counts() == {"x": None, "y": 0}


def test_arrays_and_stores_hold_none(tmp_path: Path) -> None:
    source = by.source({"x": np.arange(3.0)})
    assert source.null_counts() == {"x": 0}
    assert by.shuffle(source, tmp_path / "store", random_seed=1).null_counts() == {"x": 0}
    dropped = by.source({"x": np.ma.masked_equal([1, 2, 3], 2)}, nulls="drop")
    assert dropped.null_counts() == {"x": None}


def test_bounds_are_of_whole_numbers_in_blocks_that_are_read_whole(tmp_path: Path) -> None:
    source = scan(tmp_path / "rows.parquet")
    assert [source.bounds(block, "count") for block in range(2)] == [(3, 7), (-2, -2)]
    assert [source.bounds(0, name) for name in ("full", "x", "pair")] == [(1, 2), None, None]
    # The 7 is in a row that is left out.
    assert scan(tmp_path / "rows.parquet", nulls="drop").bounds(0, "count") is None


def test_large_numbers_without_a_sign_have_exact_bounds(tmp_path: Path) -> None:
    ends = [0, 2**64 - 1]
    pq.write_table(pa.table({"n": pa.array(ends, pa.uint64())}), tmp_path / "rows.parquet")
    assert by.scan(tmp_path / "rows.parquet").bounds(0, "n") == tuple(ends)


def test_parts_tell_together(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.arange(3))
    assert by.scan(str(tmp_path / "*.npy")).null_counts() == {"value": 0}


def test_a_class_of_ones_own_may_tell() -> None:
    class Rows:
        fields = {"x": by.Field("x", np.dtype(int)), "y": by.Field("y", np.dtype(int))}  # noqa: RUF012
        blocks = (3,)

        def read(self, block: int, names: Any) -> Any:
            yield {name: np.arange(3) for name in names}

        def null_counts(self) -> dict[str, int]:
            return {"x": 5}

    source = by.source(Rows())
    assert source.null_counts() == {"x": 5, "y": None}
    assert source.bounds(0, "x") is None


def test_a_source_says_where_it_is_and_what_it_holds(tmp_path: Path) -> None:
    source = scan(tmp_path / "a.parquet")
    place = str(tmp_path / "a.parquet")
    fields = "fields [x: float64, count: int16, pair: int64[2], full: int64]"
    assert repr(source) == f"ArrowSource({place!r}, 4 rows, {fields})"
    scan(tmp_path / "b.parquet")
    assert repr(by.scan(tmp_path)).startswith(f"ArrowSource('{place} and 1 more', 8 rows, ")
    many = by.source({f"x{number}": np.zeros(2) for number in range(10)})
    assert repr(many).endswith("x7: float64, and 2 more])")
    np.save(tmp_path / "z.npy", np.zeros((2, 3)))
    array = by.scan(tmp_path / "z.npy")
    assert repr(array).endswith("z.npy', 2 rows, fields [value: float64[3]])")
    unknown = by.source(lambda: iter([{"word": np.array(["a"], object)}]))
    assert repr(unknown).endswith("(rows not counted yet, fields [word: text])")
    assert repr(source["x"]).startswith("Column(source=ArrowSource(")
