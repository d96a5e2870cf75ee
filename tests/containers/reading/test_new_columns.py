"""What a new container reads: every kind of table, and rows of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.containers.data import Data
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import Columns, columns_of
from bayou.containers.variables.source_variable import window_of
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import read_pieces
from tests.containers.helpers import categories_refuse, columns_refuse
from tests.containers.tables import DAYS, FRAME, ROWS, flights


def test_every_kind_of_table_gives_the_same_containers(table: Any) -> None:
    model = flights(table)
    assert model["x"].get_value().tolist() == [[227, 5], [1416, 6], [719.5, 7], [1065, 8]]
    assert model["late"].get_value().tolist() == ROWS["late"]
    assert model["late"].dtype == "bool"
    assert model["carrier_code"].get_value().tolist() == [2, 0, 2, 1]
    assert model["carrier_code"].dtype == "int32"
    assert model["days"].get_value().tolist() == DAYS
    assert model.coords == {
        "flight": None,
        "feature": ("distance", "hour"),
        "carriers": ("AA", "B6", "UA"),
        "when": ("day", "at"),
    }


def test_a_container_knows_what_it_was_built_from() -> None:
    model = flights(FRAME)
    expected = Columns(
        names=("carrier",),
        is_matrix=False,
        categories=("AA", "B6", "UA"),
        categories_dim="carriers",
        unknown=None,
        missing="refuse",
        num_dropped=0,
        source="pandas.DataFrame",
    )
    for copied in (model, model.copy(), cloudpickle.loads(cloudpickle.dumps(model))):
        assert columns_of(copied["carrier_code"]) == expected
        assert columns_of(copied["days"]).dates == ("day", "at")
    with model:
        assert columns_of(Data("plain_one", [1.0])) is None
    assert columns_of(pm.Normal.dist()) is None


def test_a_structured_array_and_a_dataarray_have_columns() -> None:
    pairs = np.array([(1.0, 2), (3.0, 4)], dtype=[("a", float), ("b", int)])
    labelled = xr.DataArray([[1, 2], [3, 4]], dims=("row", "name"), coords={"name": ["b", "a"]})
    with pm.Model():
        assert Data("s", pairs, columns=["b", "a"]).get_value().tolist() == [[2, 1], [4, 3]]
        assert Data("d", labelled, columns=["a", "b"]).get_value().tolist() == [[2, 1], [4, 3]]
        assert Data("series", pd.Series([1, 2], name="n"), columns="n").get_value().tolist() == [
            1,
            2,
        ]
        assert Data("pl", pl.Series("n", [1, 2]), columns="n").get_value().tolist() == [1, 2]


def test_a_field_may_have_several_numbers_a_row() -> None:
    with pm.Model() as model:
        pixels = Data("pixels", {"p": np.arange(6.0).reshape(3, 2)}, columns="p", dims=("i", "j"))
    assert pixels.get_value().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert model.coords == {"i": None, "j": None}


def test_the_index_of_the_rows_is_exported() -> None:
    index = pd.Index(["UA1", "AA2"], name="flight")
    frame = FRAME.head(2).set_index(index)
    data = xr.Dataset({"hour": ("flight", [5, 6])}, coords={"flight": list(index)})
    for table, columns in ((frame, ["hour"]), (frame, "hour"), (data, "hour")):
        with pm.Model() as model:
            Data(
                "x",
                table,
                columns=columns,
                dims=("flight", "feature")[: 1 + isinstance(columns, list)],
                export_index_as_coords=True,
            )
        assert model.coords["flight"] == ("UA1", "AA2")
    columns_refuse(
        TypeError,
        "`export_index_as_coords` needs a value with an index",
        pl.DataFrame({"hour": [1]}),
        columns="hour",
        dims="flight",
        export_index_as_coords=True,
    )


def test_labels_of_a_feature_dim_must_be_the_columns() -> None:
    with pm.Model(coords={"feature": ["hour", "distance"]}):
        with pytest.raises(ValueError, match="The dim 'feature' must have one set of labels"):
            Data("x", FRAME, columns=["distance", "hour"], dims=("flight", "feature"))
        Data("x", FRAME, columns=["hour", "distance"], dims=("flight", "feature"))


WORDS = ["UA", "AA", "UA", "B6"]


@pytest.fixture
def parquet(tmp_path: Path) -> by.Source:
    carriers = pa.array(WORDS * 25).dictionary_encode()
    rows = {"x": np.arange(100.0), "n": np.arange(100), "c": carriers, "text": WORDS * 25}
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(rows), path, row_group_size=30)
    return by.scan(path)


def test_a_part_of_the_rows_of_a_source_is_held(parquet: by.Source) -> None:
    with pm.Model() as model:
        x = Data("x", parquet, columns=["x", "n"], dims=("row", "f"), in_memory_size=40)
        c = Data("c", parquet, columns="c", dims="row", categories="cs", in_memory_size=40)
    assert x.get_value().shape == (40, 2)
    assert model.coords == {"row": None, "f": ("x", "n"), "cs": ("UA", "AA", "B6")}
    x.update_shared()
    assert x.get_value()[0].tolist() == [40, 40]
    assert [model.coords["cs"][code] for code in c.get_value()[:4]] == WORDS
    assert window_of(x).column.source is window_of(c).column.source
    assert columns_of(x).source.endswith("rows.parquet")


def test_all_rows_of_a_source_are_held_where_they_fit(parquet: by.Source) -> None:
    with pm.Model() as model:
        codes = Data("c", parquet, columns="text", dims="row", categories="cs")
        x = Data("x", parquet, columns="x", dims="row")
    assert window_of(x) is None
    assert [model.coords["cs"][code] for code in codes.get_value()] == WORDS * 25


def test_text_of_files_is_coded_in_pieces(parquet: by.Source) -> None:
    frame = pd.DataFrame({"text": WORDS, "x": np.arange(4)})
    with pm.Model() as model:
        Data("c", frame, columns="text", dims="row", categories="cs", unknown="other")
        Data("n", frame, columns="x", dims="row")
    codes, numbers = match_columns(model, require_table(parquet, "`data`")).values()
    layout = ColumnLayout((codes.column, numbers.column))
    pieces = list(read_pieces(layout, parquet.blocks, 7))  # type: ignore[arg-type]
    found = np.concatenate([codes.values(piece) for piece, _ in pieces])
    assert [model.coords["cs"][code] for code in found] == WORDS * 25
    found = np.concatenate([numbers.values(piece) for _, piece in pieces])
    assert (found.dtype, found.tolist()) == (np.int64, list(range(100)))


def test_text_of_a_part_of_the_rows_is_refused(parquet: by.Source) -> None:
    message = "must fit in memory where text, dates or durations are converted, got 40 of 100 rows"
    categories_refuse(
        ValueError, message, parquet, columns="text", categories="cs", in_memory_size=40
    )


def test_missing_values_of_a_part_of_the_rows_are_refused(parquet: by.Source) -> None:
    message = "`missing` .* must be 'refuse' for rows that are not all in memory, got 'drop'"
    categories_refuse(ValueError, message, parquet, columns="x", missing="drop", in_memory_size=40)


def test_missing_values_of_a_source(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": [1.0, float("nan"), 3.0], "y": [1.0, 2.0, None]}), path)
    rows = by.scan(path)
    with pm.Model():
        dropped = Data("d", rows, columns="x", missing="drop")
        assert dropped.get_value().tolist() == [1, 3]
    categories_refuse(ValueError, "got nan in 'x', row 1", rows, columns="x")
    categories_refuse(ValueError, "`y` must have no nulls, got one in row 2", rows, columns="y")
    with pm.Model():
        lazy = Data("lazy", pl.scan_parquet(path), columns=["x", "y"], missing="drop")
        assert lazy.get_value().tolist() == [[1, 1]]
