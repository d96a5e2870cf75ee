"""Summaries of draws: quantiles as NumPy has them, one row for each row of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayou.prediction.output.parquet_sink import QUANTILES, ParquetSink, _summary
from bayou.prediction.output.template import PredictedVariable, PredictionTemplate


def template(
    shape: tuple[int, ...], dims: tuple[str, ...], draws: int, **coords: Any
) -> PredictionTemplate:
    variable = PredictedVariable("y", np.dtype(float), shape, dims, dims.index("row"))
    rows = shape[dims.index("row")]
    return PredictionTemplate(
        (variable,), np.arange(1), np.arange(draws), coords, rows, {"random_seed": 3}, {}
    )


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-1e6, 1e6),
    )
)
def test_quantiles_are_those_of_numpy(draws: Any) -> None:
    found = _summary("y", np.sort(draws, axis=-1))
    expected = np.quantile(draws, QUANTILES, axis=-1)
    for quantile, values in zip(QUANTILES, expected, strict=True):
        np.testing.assert_allclose(found[f"y_q{100 * quantile:g}"], values, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found["y_mean"], draws.mean(axis=-1), rtol=1e-9, atol=1e-6)


def test_nan_and_infinity_stay(tmp_path: Path) -> None:
    sink = ParquetSink(template((3,), ("row",), 3), tmp_path / "y.parquet", tmp_path / "parts")
    draws = np.array([[1.0, np.inf, 1.0], [2.0, np.inf, np.nan], [3.0, np.inf, 3.0]])
    with np.errstate(invalid="ignore"):
        sink.put(0, 3, sink.reduction([draws]))
    sink.flush(3)
    sink.finish([])
    found = pd.read_parquet(tmp_path / "y.parquet")
    assert list(found["y_q50"][:2]) == [2, np.inf]
    assert np.isnan(found["y_q50"][2])
    assert np.isnan(found["y_mean"][2])


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, bool])
def test_any_dtype_is_summarised(tmp_path: Path, dtype: Any) -> None:
    draws = np.random.default_rng(0).integers(0, 2, (200, 5)).astype(dtype)
    sink = ParquetSink(template((5,), ("row",), 200), tmp_path / "y.parquet", tmp_path / "parts")
    sink.put(0, 5, sink.reduction([draws]))
    sink.flush(5)
    sink.finish([])
    found = pd.read_parquet(tmp_path / "y.parquet")
    np.testing.assert_allclose(found["y_mean"], draws.mean(axis=0, dtype=float))
    np.testing.assert_allclose(found["y_sd"], draws.std(axis=0, ddof=1, dtype=float))


def test_elements_of_a_row_have_columns_of_their_own(tmp_path: Path) -> None:
    draws = np.random.default_rng(0).normal(size=(50, 2, 4))
    sink = ParquetSink(
        template((2, 4), ("feature", "row"), 50, feature=("f", "g")),
        tmp_path / "y.parquet",
        tmp_path / "parts",
    )
    # Parts may be put in any order.
    sink.put(3, 1, sink.reduction([draws[:, :, 3:]]))
    sink.put(0, 3, sink.reduction([draws[:, :, :3]]))
    sink.flush(4)
    sink.finish([])
    found = pd.read_parquet(tmp_path / "y.parquet")
    assert list(found["row"]) == [0, 1, 2, 3]
    np.testing.assert_allclose(found["y[f]_mean"], draws[:, 0].mean(axis=0))
    np.testing.assert_allclose(found["y[g]_q97.5"], np.quantile(draws[:, 1], 0.975, axis=0))
