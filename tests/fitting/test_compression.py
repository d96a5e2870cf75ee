"""Fits of distinct rows are those of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from tests.compression.repeated_rows import MODELS, make_rows, model_of


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few rows be enough to be compressed by default."""
    monkeypatch.setattr("bayou.compression.compressed_model.LEAST_ROWS", 2)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    model = model_of(MODELS["hierarchy"], make_rows(3, 400, 40))
    with model:
        pm.Deterministic("shifted", model["x_of_row"] + model["slope"], dims="row")
    return model


def fitted(model: pm.Model, **options: Any) -> Any:
    return by.fit(model=model, random_seed=1, progressbar=False, **options)


@pytest.mark.slow
def test_a_fit_of_distinct_rows_is_that_of_all(model: pm.Model) -> None:
    one, other = fitted(model), fitted(model, compress=False)
    assert one.compression == "400 rows as 40 distinct, each counted"
    assert other.compression is None
    for name in one.mean:
        np.testing.assert_allclose(one.mean[name], other.mean[name], atol=1e-4)
        np.testing.assert_allclose(one.std[name], other.std[name], rtol=1e-3)
    # What depends on rows is of the rows as they are.
    draws = one.sample(20, random_seed=1).posterior
    assert draws["shifted"].shape == (1, 20, 400)
    np.testing.assert_allclose(
        draws["shifted"].values[0],
        model["x_of_row"].get_value() + draws["slope"].values[0][:, None],
    )


@pytest.mark.parametrize("options", [{"batch_size": 50}, {"batch_size": 50, "checkpoint": "file"}])
def test_distinct_rows_come_without_batches(model: pm.Model, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^`compress=True` must come without `batch_size`, .*\n"):
        fitted(model, compress=True, **options)


def test_a_wrong_value_is_refused(model: pm.Model) -> None:
    with pytest.raises(ValueError, match=r'^`compress` must be "auto", True or False, got \'on\''):
        fitted(model, compress="on")
