"""Rows that repeat are predicted once, where nothing random is drawn for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUM_ROWS = 12_000


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model(coords={"group": range(5), "part": range(2)}) as model:
        x = by.Data("x", np.zeros(4), dims="row")
        group = by.Data("group_of_row", np.zeros(4, np.int64), dims="row")
        effect, slope = pm.Normal("effect", dims="group"), pm.Normal("slope")
        mean = pm.Deterministic("mean", effect[group] + slope * x, dims="row")
        both = pm.math.stack([mean, pm.math.exp(mean)])
        pm.Deterministic("both", both, dims=("part", "row"))
        pm.Normal("y", mean, 1, observed=by.Data("outcome", np.zeros(4), dims="row"), dims="row")
    return model


@pytest.fixture(scope="module")
def posterior() -> xr.Dataset:
    generator = np.random.default_rng(1)
    return xr.Dataset(
        {
            "effect": (("chain", "draw", "group"), generator.normal(size=(2, 6, 5))),
            "slope": (("chain", "draw"), generator.normal(size=(2, 6))),
        },
        {"group": range(5)},
    )


@pytest.fixture(scope="module")
def rows() -> dict[str, Any]:
    generator = np.random.default_rng(2)
    # Without -0.0, which is another row than 0.0.
    x = np.round(generator.normal(size=NUM_ROWS), 1) + 0.0
    return {"x": x, "group_of_row": generator.integers(0, 5, NUM_ROWS)}


def predict(model: pm.Model, posterior: xr.Dataset, rows: Any, **options: Any) -> xr.Dataset:
    tree = by.predict(posterior, rows, model=model, random_seed=1, progressbar=False, **options)
    return tree.predictions.to_dataset()


def test_predictions_are_those_of_all_rows(
    model: pm.Model, posterior: xr.Dataset, rows: dict[str, Any]
) -> None:
    names = ["mean", "both"]
    repeated = predict(model, posterior, rows, var_names=names)
    plain = predict(model, posterior, rows, var_names=names, compress=False)
    distinct = len(np.unique(np.column_stack([*rows.values()]), axis=0))
    text = f"12,000 rows as {distinct} distinct, each repeated"
    assert repeated.attrs["compression"] == text
    assert "compression" not in plain.attrs
    xr.testing.assert_allclose(repeated, plain, rtol=1e-12)
    assert repeated["both"].dims == ("chain", "draw", "part", "row")


@pytest.mark.parametrize("kind", ["frame", "blocks"])
def test_rows_of_sources_repeat_too(rows: dict[str, Any], posterior: xr.Dataset, kind: str) -> None:
    """Rows with columns are read once, in their own order."""
    frame = pd.DataFrame({"x": rows["x"], "letter": np.array(list("abcde"))[rows["group_of_row"]]})
    with pm.Model() as model:
        some = frame.sort_values("letter")[::100]
        x = by.Data("x", some, columns="x", dims="row")
        letter = by.Data("letter", some, columns="letter", dims="row", categories="group")
        effect, slope = pm.Normal("effect", dims="group"), pm.Normal("slope")
        mean = pm.Deterministic("mean", effect[letter] + slope * x, dims="row")
        pm.Normal("y", mean, 1, observed=by.Data("outcome", np.zeros(len(some)), dims="row"))

    def blocks() -> Iterator[dict[str, Any]]:
        for part in (slice(0, 5_000), slice(5_000, None)):
            yield {
                name: frame[name].to_numpy(object if name == "letter" else None)[part]
                for name in frame
            }

    data = frame if kind == "frame" else blocks
    draws = posterior.assign_coords(group=list("abcde"))
    repeated = predict(model, draws, data, var_names="mean")
    plain = predict(model, draws, data, var_names="mean", compress=False)
    assert repeated.attrs["compression"].startswith("12,000 rows as ")
    xr.testing.assert_allclose(repeated, plain, rtol=1e-12)


def test_random_rows_have_draws_of_their_own(
    model: pm.Model, posterior: xr.Dataset, rows: dict[str, Any]
) -> None:
    drawn = predict(model, posterior, rows)
    assert "compression" not in drawn.attrs
    assert len(np.unique(drawn["y"].values[0, 0])) == NUM_ROWS
    with pytest.raises(ValueError, match=r"^`compress=True` must have .* random numbers of their"):
        predict(model, posterior, rows, compress=True)


def test_few_rows_are_left_by_default_and_may_be_asked_for(
    model: pm.Model, posterior: xr.Dataset
) -> None:
    rows = {"x": [1.0, 2.0, 1.0, 1.0], "group_of_row": [1, 0, 1, 2]}
    plain = predict(model, posterior, rows, var_names="mean")
    assert "compression" not in plain.attrs
    repeated = predict(model, posterior, rows, var_names="mean", compress=True)
    assert repeated.attrs["compression"] == "4 rows as 3 distinct, each repeated"
    xr.testing.assert_allclose(repeated, plain, rtol=1e-12)


def test_other_rows_are_refused(model: pm.Model, posterior: xr.Dataset, tmp_path: Path) -> None:
    rows = {"x": [1.0, 1.0], "group_of_row": [1, 1]}
    with pytest.raises(ValueError, match=r"^`compress=True` must have .* by `out`\.\nHint: "):
        predict(model, posterior, rows, compress=True, out=tmp_path / "new.zarr")
    with pytest.raises(ValueError, match=r'^`compress` must be "auto", True or False, got 1\.'):
        predict(model, posterior, rows, compress=1)
