"""The table of new rows: pieces of any size are all of the rows in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.prediction.new_rows import NewRows
from bayou.prediction.row_matching import new_rows


@pytest.fixture(scope="module")
def model() -> pm.Model:
    table = {"a": np.arange(4.0), "b": np.arange(4.0), "y": np.arange(4.0)}
    with pm.Model() as model:
        x = by.Data("x", table, columns=["a", "b"], dims=("row", "column"))
        y = by.Data("y_data", table, columns="y", dims="row")
        pm.Normal("y", x.sum(axis=1), observed=y, dims="row")
    return model


def arrays_of(rows: NewRows, size: int) -> list[Any]:
    return [np.concatenate(parts) for parts in zip(*rows.pieces(size), strict=True)]


@given(st.integers(1, 30), st.integers(1, 40))
def test_pieces_of_arrays(num_rows: int, size: int) -> None:
    with pm.Model() as model:
        x, y = by.Data("x", np.zeros(2), dims="row"), by.Data("y_data", np.zeros(2), dims="row")
        pm.Normal("y", x, observed=y, dims="row")
    rows = new_rows(model, ["y"], {"x": np.arange(num_rows)}, [])
    assert [len(piece[0]) for piece in rows.pieces(size)][:-1] == [size] * ((num_rows - 1) // size)
    x_values, y_values = arrays_of(rows, size)
    assert x_values.tolist() == list(range(num_rows))
    # The graph takes no more of observed values than their number.
    assert y_values.tolist() == [0] * num_rows


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pieces_of_a_file(model: pm.Model, tmp_path: Path, size: int) -> None:
    import pandas as pd

    frame = pd.DataFrame({"b": np.arange(20.0), "a": np.arange(20.0) + 100})
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=6)
    rows = new_rows(model, ["y"], by.scan(tmp_path / "rows.parquet"), [])
    assert rows.num_rows == 20
    assert rows.readers
    x, y = arrays_of(rows, size)
    assert x.tolist() == frame[["a", "b"]].to_numpy().tolist()
    assert y.shape == (20,)


def test_the_size_of_a_row(model: pm.Model) -> None:
    rows = new_rows(model, ["y"], {"a": np.zeros(3), "b": np.zeros(3)}, [])
    assert rows.row_bytes == 3 * 8


def test_few_rows_are_followed_by_those_of_the_model(model: pm.Model) -> None:
    rows = new_rows(model, ["y"], {"a": [7.0], "b": [8.0]}, [])
    [x, y] = rows.first(9)
    assert x.tolist() == [[7, 8], [0, 0], [1, 1], [2, 2], [3, 3]]
    assert y.tolist() == [0, 0, 1, 2, 3]
    assert len(rows.first(1)[0]) == 1


def test_rows_are_needed() -> None:
    with pytest.raises(ValueError, match=r"`data` must have at least one row, got none\.\nHint: "):
        NewRows((), 0, ())
