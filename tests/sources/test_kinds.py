"""The kinds of objects with rows, and which are read block by block."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
import zarr

import bayou.sources as by
from bayou.sources.base.named_columns import SourceColumns
from bayou.sources.in_memory.memory_columns import MemoryColumns
from bayou.sources.kinds import KINDS, named_columns, open_kind
from tests.sources.test_open import Three


def test_columns_of_what_is_read_by_blocks_are_those_of_a_source(tmp_path: Path) -> None:
    rows = by.source({"x": np.arange(3.0)})
    assert isinstance(columns := named_columns(rows), SourceColumns)
    assert columns.source is rows

    array = zarr.create_array(tmp_path / "x.zarr", data=np.arange(3.0))
    for data in (Three(), array, lambda: iter([{"x": np.arange(3.0)}])):
        columns = named_columns(data)
        assert isinstance(columns, SourceColumns)
        assert not columns.is_in_memory
        [name] = columns.names
        source = columns.open([name])
        values = np.concatenate(
            [
                table[name]
                for block in range(len(source.blocks))
                for table in source.read(block, [name])
            ]
        )
        assert values.tolist() == [0, 1, 2]
    assert isinstance(named_columns({"x": np.arange(3.0)}), MemoryColumns)
    for nameless in (np.arange(3.0), dict, None):
        assert named_columns(nameless) is None


@pytest.mark.parametrize(
    "data",
    [
        {"x": np.arange(3.0)},
        pd.DataFrame({"x": np.arange(3.0)}),
        pd.Series(np.arange(3.0), name="x"),
        pl.LazyFrame({"x": np.arange(3.0)}),
        pa.record_batch({"x": np.arange(3.0)}),
        xr.DataArray(np.arange(3.0), name="x"),
        np.array([(0.0,), (1.0,), (2.0,)], dtype=[("x", float)]),
        Three(),
    ],
    ids=lambda data: type(data).__name__,
)
def test_each_kind_opens_the_same_rows(data: Any) -> None:
    source = open_kind(data, "refuse", "obj")
    tables = [t for block in range(len(source.blocks)) for t in source.read(block, ["x"])]
    assert np.concatenate([table["x"] for table in tables]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("data", [[{"x": 1.0}], "rows.csv", 3, None, open_kind])
def test_no_kind_accepts_other_objects(data: Any) -> None:
    accepts: list[Callable[[Any], bool]] = [kind.accepts for kind in KINDS]
    assert not any(accept(data) for accept in accepts)
    with pytest.raises(TypeError, match=f"`obj` must be arrays, .* got {type(data).__name__}"):
        open_kind(data, "refuse", "obj")
