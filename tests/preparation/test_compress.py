"""`by.compress`: the same cells from any source, as pandas counts them."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayou as by
from bayou.preparation import compress
from bayou.preparation.distinct_rows import group_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUM_ROWS = 1000


def make_frame() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "carrier": pd.Categorical.from_codes(
                generator.integers(0, 3, NUM_ROWS), categories=["UA", "AA", "B6"]
            ),
            "late": generator.random(NUM_ROWS) < 0.3,
            "miles": np.round(generator.random(NUM_ROWS), 1),
            "day": np.datetime64("2013-01-01") + generator.integers(0, 2, NUM_ROWS),
            "row": np.arange(NUM_ROWS),
        }
    )


def in_parquet(frame: pd.DataFrame, folder: Path) -> Any:
    pq.write_table(pa.Table.from_pandas(frame), folder / "rows.parquet", row_group_size=300)
    return by.scan(folder / "rows.parquet")


def in_duckdb(frame: pd.DataFrame, folder: Path) -> Any:
    path = folder / "rows.duckdb"
    with duckdb.connect(path) as connection:
        connection.register("frame", frame)
        connection.execute("CREATE TABLE flights AS SELECT * FROM frame")
    return by.sql("SELECT * FROM flights ORDER BY row", partial(duckdb.connect, path))


SOURCES: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "frame": lambda frame, _: frame,
    "polars": lambda frame, _: pl.from_pandas(frame),
    "mapping": lambda frame, _: {name: frame[name] for name in frame.columns},
    "parquet": in_parquet,
    "query of polars": lambda frame, _: pl.from_pandas(frame).lazy(),
    "relation of DuckDB": lambda frame, _: duckdb.connect().from_df(frame),
    "SQL": in_duckdb,
    "generator": lambda frame, _: (
        lambda: (
            {"late": frame["late"].to_numpy()[part], "miles": frame["miles"].to_numpy()[part]}
            for part in (slice(0, 400), slice(400, None))
        )
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_cells_are_those_of_pandas(kind: str, tmp_path: Path) -> None:
    frame = make_frame()
    cells = by.compress(
        SOURCES[kind](frame, tmp_path), ["late", "miles"], count="n", progressbar=False
    )
    expected = frame.groupby(["late", "miles"]).size().reset_index(name="n")
    assert cells.num_rows == len(expected)
    values = cells.take(np.arange(len(expected)), ["late", "miles", "n"])
    for name in expected:
        np.testing.assert_array_equal(values[name], expected[name])
    assert cells.fields["n"].dtype == np.int64


@pytest.mark.parametrize("kind", ["frame", "parquet", "SQL", "relation of DuckDB"])
def test_categories_and_dates_stay(kind: str, tmp_path: Path) -> None:
    frame = make_frame()
    rows = SOURCES[kind](frame, tmp_path)
    cells = by.compress(rows, ["carrier", "day"], progressbar=False)
    assert cells.fields["carrier"].categories == ("UA", "AA", "B6")
    values = cells.take(np.arange(6), ["carrier", "day", "count"])
    expected = frame.groupby(["carrier", "day"], observed=False).size().reset_index(name="count")
    np.testing.assert_array_equal(values["carrier"], expected["carrier"].cat.codes)
    np.testing.assert_array_equal(values["day"], expected["day"])
    np.testing.assert_array_equal(values["count"], expected["count"])


def test_cells_of_cells_have_all_of_their_rows() -> None:
    cells = by.compress(make_frame(), ["carrier", "late", "miles"], progressbar=False)
    coarse = by.compress(cells, ["carrier"], weights="count", progressbar=False)
    once = by.compress(make_frame(), ["carrier"], progressbar=False)
    assert coarse.take(np.arange(3), ["carrier", "count"])["count"].tolist() == (
        once.take(np.arange(3), ["count"])["count"].tolist()
    )


def test_all_columns_but_the_weights_are_taken_by_default() -> None:
    rows = {"x": np.array([1, 1, 2]), "n": np.array([0.5, 0.25, 3])}
    cells = by.compress(rows, weights="n", progressbar=False)
    assert list(cells.fields) == ["x", "count"]
    assert cells.take(np.arange(2), ["count"])["count"].tolist() == [0.75, 3.0]


def test_the_file_holds_the_cells(tmp_path: Path) -> None:
    frame = make_frame()
    frame["pair"] = list(np.stack([frame["row"] % 2, frame["row"] % 3], axis=1).astype(float))
    rows = {name: frame[name] for name in ("carrier", "late", "day")}
    rows |= {"pair": np.stack(frame["pair"])}
    cells = by.compress(rows, out=tmp_path / "cells.parquet", progressbar=False)
    kept = by.scan(tmp_path / "cells.parquet")
    # Parquet has no dates in seconds.
    assert kept.fields == cells.fields | {"day": by.Field("day", np.dtype("M8[ms]"))}
    every = np.arange(cells.num_rows or 0)
    values, expected = (source.take(every, list(cells.fields)) for source in (kept, cells))
    for name in expected:
        np.testing.assert_array_equal(values[name], expected[name])


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"columns": []}, ValueError, "`columns` must name at least one field, got none."),
        ({"columns": ["rwo"]}, ValueError, "Each name must be a field of the source, got 'rwo'."),
        (
            {"columns": ["row"], "count": "row"},
            ValueError,
            "`count` must be a name that no column has, got 'row' with columns 'row'.",
        ),
        (
            {"columns": ["row"], "weights": "row"},
            ValueError,
            "`weights` must be none of the columns, got 'row'.",
        ),
        (
            {"columns": ["row"], "weights": "carrier"},
            TypeError,
            "`weights` must be a field of numbers, one a row, got ",
        ),
        ({"out": "rows.parquet"}, FileExistsError, "`out` must not exist, got "),
        ({"out": "no/cells.parquet"}, FileNotFoundError, "`out` must be in a folder that exists"),
        ({"memory": "much"}, ValueError, "`memory` must be a size in bytes, got 'much'."),
        ({"memory": 10_000}, ValueError, "`memory` must hold the distinct rows, got 10,000 bytes"),
    ],
)
def test_arguments_are_refused_by_name(
    arguments: dict[str, Any],
    kind: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.parquet").touch()
    with pytest.raises(kind, match=f"^{re.escape(message)}(.|\n)*\nHint: "):
        by.compress(make_frame(), progressbar=False, **arguments)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_wrong_weight_is_named_with_its_row(wrong: float) -> None:
    rows = {"x": np.zeros(100), "n": np.ones(100)}
    rows["n"][70] = wrong
    message = f"^`weights` must be finite and at least 0, got {wrong} in row 70 of `n`"
    with pytest.raises(ValueError, match=message):
        by.compress(rows, ["x"], weights="n", progressbar=False)


TEXT_SOURCES: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "frame": lambda frame, _: frame,
    "parquet": in_parquet,
    "query of polars": lambda frame, _: pl.from_pandas(frame).lazy(),
    "SQL": in_duckdb,
}


@pytest.mark.parametrize("kind", TEXT_SOURCES)
def test_text_becomes_categories_that_containers_take(kind: str, tmp_path: Path) -> None:
    frame = make_frame().astype({"carrier": "str"})
    rows = TEXT_SOURCES[kind](frame, tmp_path)
    cells = by.compress(rows, ["late", "carrier"], progressbar=False)
    assert cells.fields["carrier"].categories == ("AA", "B6", "UA")
    expected = frame.groupby(["late", "carrier"]).size().reset_index(name="count")
    values = cells.take(np.arange(6), ["late", "carrier", "count"])
    assert [("AA", "B6", "UA")[code] for code in values["carrier"]] == expected["carrier"].tolist()
    np.testing.assert_array_equal(values["late"], expected["late"])
    np.testing.assert_array_equal(values["count"], expected["count"])
    with pm.Model() as model:
        by.Data("carrier", cells, columns="carrier", dims="cell", categories="carriers")
    assert model.coords["carriers"] == ("AA", "B6", "UA")
    np.testing.assert_array_equal(model["carrier"].get_value(), values["carrier"])


def test_rows_without_a_text_are_left_out_where_asked() -> None:
    frame = pd.DataFrame({"name": ["b", None, "a", None], "x": [1, 1, 1, 1]})
    cells = by.compress(by.source(frame, nulls="drop"), progressbar=False)
    values = cells.take(np.arange(2), ["name", "count"])
    assert (values["name"].tolist(), values["count"].tolist()) == ([0, 1], [1, 1])
    with pytest.raises(ValueError, match="`name` must have no nulls, got one in row 1"):
        by.compress(frame, progressbar=False)


def test_texts_of_single_rows_do_not_fit() -> None:
    frame = pd.DataFrame({"name": [f"row {row}" for row in range(1000)]})
    message = r"^`memory` must hold the distinct texts, got 100,000 bytes for 1,000 of `name`"
    with pytest.raises(ValueError, match=message):
        by.compress(frame, memory=100_000, progressbar=False)


def test_objects_are_refused() -> None:
    table = pa.table({"names": pa.array([["a"], ["b", "c"]])})
    with pytest.raises(TypeError, match="got `names` of list"):
        by.compress(table, progressbar=False)


@pytest.mark.parametrize("kind", ["SQL", "relation of DuckDB", "query of polars"])
def test_databases_group_where_the_rows_are(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the distinct rows come out of them."""
    read: list[int] = []

    def count_rows(tables: Any, *arguments: Any) -> Any:
        counted = list(tables)
        read.extend(len(table["late"]) for table in counted)
        return group_rows(iter(counted), *arguments)

    monkeypatch.setattr(compress, "group_rows", count_rows)
    rows = SOURCES[kind](make_frame(), tmp_path)
    cells = by.compress(rows, ["late", "miles"], progressbar=False)
    assert sum(read) == cells.num_rows == 22
    assert cells.take(np.arange(22), ["count"])["count"].sum() == NUM_ROWS


def test_a_field_without_an_arrow_type_is_not_written(tmp_path: Path) -> None:
    rows = {"z": np.array([1j, 1j, 2])}
    assert by.compress(rows, progressbar=False).num_rows == 2
    with pytest.raises(TypeError, match="got `z` of complex128"):
        by.compress(rows, out=tmp_path / "cells.parquet", progressbar=False)
    assert list(tmp_path.iterdir()) == []
