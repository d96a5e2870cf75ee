"""Containers of a source: how their windows move on, and what needs all rows."""

import copy

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.containers.variables.resident_rows import read_resident
from bayou.containers.variables.source_variable import (
    advance_window,
    check_complete,
    resident_of,
    source_variable,
    window_of,
)
from tests.containers.row_sources import NUM_ROWS, ROW


def test_the_window_moves_through_the_source(source: by.Source) -> None:
    rows = by.Minibatch(source["row"], 10, in_memory_size=400)
    halves = by.Minibatch(source["half"], 10, in_memory_size=400)
    assert set(rows.eval()) <= set(range(400))
    for first in (400, 800, 200):
        rows.update_shared()
        expected = (first + np.arange(400)) % NUM_ROWS
        np.testing.assert_array_equal(rows.shared.get_value(), expected)
        # What holds the same rows goes on together, so that they stay aligned.
        np.testing.assert_array_equal(halves.shared.get_value(), expected / 2)
        by.align_minibatches([rows, halves])
        np.testing.assert_array_equal(rows.eval() / 2, halves.eval())
    late = by.Minibatch(source["half"], 10, in_memory_size=400)
    np.testing.assert_array_equal(late.shared.get_value() * 2, rows.shared.get_value())


def test_data_hold_a_window_too(source: by.Source) -> None:
    with pm.Model() as model:
        rows = by.Data("rows", source["row"], dims="row", in_memory_size=300)
        whole = by.Data("whole", source["half"])
    assert model.dim_lengths["row"].eval() == 300
    np.testing.assert_array_equal(whole.get_value(), ROW / 2)
    rows.update_shared()
    np.testing.assert_array_equal(rows.get_value(), np.arange(300, 600))


def test_other_values_take_the_place_of_the_source(source: by.Source) -> None:
    batch = by.Minibatch(source["row"], 10, in_memory_size=400)
    assert window_of(batch.shared) is not None
    batch.set_value(np.arange(7))
    assert resident_of(batch.shared) is None
    np.testing.assert_array_equal(batch.shared.get_value(), np.arange(7))
    with pytest.raises(NotImplementedError, match="has no `update_shared_f`"):
        batch.update_shared()


def test_nuts_takes_no_part_of_the_rows(source: by.Source) -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(source["half"], 10, in_memory_size=400)
        pm.Normal("y", mu, 1, observed=batch, total_size=400)
    with pytest.raises(
        ValueError, match=r"must hold all rows of its source, 1000, got 400 in memory.\nHint: raise"
    ):
        by.sample(model=model)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Data("halves", source["half"], in_memory_size=400))
    for run in (by.sample, by.fit):
        with pytest.raises(ValueError, match=r"'halves' must hold all rows of its source, 1000"):
            run(model=model)


def test_clones_and_pickles_find_the_rows(source: by.Source) -> None:
    rows = read_resident(source["row"], 300, "`value`")
    variable = source_variable(rows, "rows")
    assert window_of(variable) is window_of(variable.clone()) is rows
    copied = copy.deepcopy(variable)
    assert window_of(copied) is not rows
    advance_window(copied)
    np.testing.assert_array_equal(copied.get_value(), ROW[300:600])
    np.testing.assert_array_equal(variable.get_value(), ROW[:300])


def test_windows_of_other_sizes_stay(source: by.Source) -> None:
    small, large = (
        source_variable(read_resident(source["row"], size, "`value`"), "rows")
        for size in (100, 200)
    )
    advance_window(small)
    np.testing.assert_array_equal(small.get_value(), ROW[100:200])
    np.testing.assert_array_equal(large.get_value(), ROW[:200])
    advance_window(pytensor.shared(ROW))


def test_a_missing_value_ahead_leaves_all_windows() -> None:
    half = np.where(ROW == 450, np.nan, ROW / 2)
    source = by.source({"row": ROW, "half": half})
    rows, halves = (
        source_variable(read_resident(source[name], 400, "`value`"), name) for name in source.fields
    )
    with pytest.raises(
        ValueError,
        match=r"^`update_shared` must hold no missing values, got nan in 'half', row 50 of those "
        r"that were read\.\nHint: drop such rows when the source is opened",
    ):
        rows.update_shared()
    np.testing.assert_array_equal(rows.get_value(), ROW[:400])
    np.testing.assert_array_equal(halves.get_value(), ROW[:400] / 2)


def test_complete_rows_pass_the_check(source: by.Source) -> None:
    window = source_variable(read_resident(source["row"], 300, "`value`"), "window")
    complete = source_variable(read_resident(source["row"], None, "`value`"), "complete")
    check_complete([complete, pytensor.shared(ROW), pt.vector()])
    assert resident_of(complete) is not None
    with pytest.raises(
        ValueError,
        match=r"^'window' must hold all rows of its source, 1000, got 300 in memory\.\n"
        r"Hint: raise `in_memory_size`, or fit in batches, by\.fit\(batch_size=512\), which ",
    ):
        check_complete([complete, window])
