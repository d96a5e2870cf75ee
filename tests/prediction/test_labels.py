"""Labels of draws and of a model: positions of the same labels, refusals of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayou.prediction.labels import fit_labels, label_positions, model_labels, tree_labels


@given(st.lists(st.text(), unique=True, min_size=1), st.randoms())
def test_positions_put_draws_in_the_order_of_the_model(labels: list[str], random: Any) -> None:
    permuted = random.sample(labels, len(labels))
    positions = label_positions("b", "group", pd.Index(permuted), pd.Index(labels))
    if positions is None:
        assert permuted == labels
    else:
        assert pd.Index(permuted)[positions].tolist() == labels


def test_numbers_from_0_on_are_positions() -> None:
    assert label_positions("b", "group", pd.RangeIndex(3), pd.RangeIndex(4)) is None
    found = label_positions("b", "group", pd.Index([2, 0, 1]), pd.RangeIndex(3))
    assert found is not None
    assert found.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("draws", "model", "got"),
    [
        ("AB", "AC", "'C' in the model alone, 'B' in the draws alone"),
        ("AB", "A", "none in the model alone, 'B' in the draws alone"),
        ("AAB", "ABB", "repeated labels: 'A', 'B', 'B' in the model, 'A', 'A', 'B' in the draws"),
    ],
)
def test_other_labels_are_refused(draws: str, model: str, got: str) -> None:
    message = rf"^The dim 'group' of `model` must have the labels .* of 'b' .*got {got}\.\nHint: "
    with pytest.raises(ValueError, match=message):
        label_positions("b", "group", pd.Index(list(draws)), pd.Index(list(model)))


def test_labels_of_a_model() -> None:
    model = pm.Model(coords={"group": ["m", "n"]})
    assert model_labels(model, "group", 2).tolist() == ["m", "n"]
    assert model_labels(model, "other", 3).equals(pd.RangeIndex(3))
    labels = fit_labels(model, ("group", None), (2, 5))
    assert labels[0] is not None
    assert labels[0].tolist() == ["m", "n"]
    assert labels[1] is None


def test_dims_that_arviz_made_up_have_no_labels() -> None:
    dims = ("chain", "draw", "group", "b_dim_1", "other")
    draws = xr.DataArray(
        np.zeros((1, 1, 2, 2, 2)), {"group": ["m", "n"], "b_dim_1": [0, 1]}, dims, "b"
    )
    group, made_up, without = tree_labels("b", draws)
    assert group is not None
    assert group.tolist() == ["m", "n"]
    assert made_up is None
    assert without is None
