"""The total_size of observed variables: given, and the number of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.row_dim import find_rows
from bayou.batching.total_size_checks import (
    check_has_total_size,
    check_in_memory_total_sizes,
    check_minibatch_total_sizes,
    check_row_total_sizes,
)

Y = np.arange(6.0)


def of_rows(total_size: int | None) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y_data", Y, dims="row")
        pm.Normal("y", pm.Normal("mu"), 1, observed=y, dims="row", total_size=total_size)
    return model


def of_minibatch(total_size: int | None, y: Any = Y, **options: Any) -> pm.Model:
    with pm.Model() as model:
        batch = by.Minibatch(y, 2, **options)
        pm.Normal("y", pm.Normal("mu"), 1, observed=batch, total_size=total_size)
    return model


@pytest.mark.parametrize("total_size", [None, 6])
def test_the_number_of_rows_passes(total_size: int | None) -> None:
    model = of_rows(total_size)
    check_row_total_sizes(model, find_rows(model))


def test_another_number_than_that_of_rows_is_refused() -> None:
    model = of_rows(7)
    with pytest.raises(ValueError, match=r"`total_size` of 'y' must .* 6, got 7\.\nHint: leave it"):
        check_row_total_sizes(model, find_rows(model))


@pytest.mark.filterwarnings("ignore:total_size not provided")
def test_observed_minibatch_without_a_total_size_is_refused() -> None:
    model = of_minibatch(None)
    with pytest.raises(ValueError, match=r"`total_size` must be given for 'y', which observes"):
        check_minibatch_total_sizes(model)
    with pytest.raises(
        ValueError, match=r"`total_size` must be given for .y.*rows of a batch only"
    ):
        check_has_total_size(model, ["y"])
    check_has_total_size(model, ["another"])
    check_minibatch_total_sizes(of_minibatch(6))


def test_total_size_of_a_window_is_that_of_its_source() -> None:
    rows = by.source({"y": Y})["y"]
    check_minibatch_total_sizes(of_minibatch(6, rows, in_memory_size=3))
    with pytest.raises(ValueError, match=r"number of rows of its source, 6, got 3"):
        check_minibatch_total_sizes(of_minibatch(3, rows, in_memory_size=3))


def test_nuts_takes_all_rows_or_none() -> None:
    check_in_memory_total_sizes(of_minibatch(6))
    with pytest.raises(ValueError, match=r"of 'y' must be .* rows in memory, got 2 times as many"):
        check_in_memory_total_sizes(of_minibatch(12))
