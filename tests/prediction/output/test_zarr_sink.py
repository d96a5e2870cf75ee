"""All draws in memory and in a Zarr store: the same tree, whatever the order of the pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayou.prediction.output.memory_sink import MemorySink
from bayou.prediction.output.zarr_sink import ZarrSink, open_predictions
from tests.prediction.output.test_template import TEMPLATE

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, (8, 2, 5)).astype(np.int8)
SCALE = RNG.normal(size=(8, 3))


def fill(sink: Any, starts: Any) -> None:
    for start in starts:
        values = sink.reduction([Y[:, :, start : start + 2]])
        sink.put(start, values[0].shape[-1], values)
    sink.flush(5)
    sink.finish([SCALE])


@given(st.permutations([0, 2, 4]))
def test_pieces_may_be_put_in_any_order(starts: list[int]) -> None:
    sink = MemorySink(TEMPLATE)
    fill(sink, starts)
    found = sink.tree.predictions
    assert list(found.data_vars) == ["y", "scale"]
    assert np.array_equal(found["y"].values, Y.reshape(2, 4, 2, 5))
    assert np.array_equal(found["scale"].values, SCALE.reshape(2, 4, 3))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=4)
@given(st.permutations([0, 2, 4]))
def test_a_store_has_what_memory_has(tmp_path_factory: Any, starts: list[int]) -> None:
    path = tmp_path_factory.mktemp("store") / "y.zarr"
    store, memory = ZarrSink(TEMPLATE, path, 2), MemorySink(TEMPLATE)
    fill(store, starts)
    fill(memory, [0, 2, 4])
    found = open_predictions(path).predictions
    assert not found["y"].variable._in_memory
    assert found["y"].encoding["chunks"] == (2, 4, 2, 2)
    assert found["y"].dtype == np.int8
    xr.testing.assert_identical(
        found.dataset[["y", "scale"]].load(), memory.tree.predictions.dataset[["y", "scale"]]
    )


def test_a_store_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "y.zarr"
    first = ZarrSink(TEMPLATE, path, 2)
    first.put(0, 2, [Y[:, :, :2]])
    again = ZarrSink(TEMPLATE, path, 2)
    again.put(2, 2, [Y[:, :, 2:4]])
    again.put(4, 1, [Y[:, :, 4:]])
    again.finish([SCALE])
    assert np.array_equal(open_predictions(path).predictions["y"].values, Y.reshape(2, 4, 2, 5))


def test_nothing_that_is_the_same_for_all_rows(tmp_path: Path) -> None:
    from dataclasses import replace

    template = replace(TEMPLATE, variables=TEMPLATE.row_variables)
    sink = ZarrSink(template, tmp_path / "y.zarr", 5)
    sink.put(0, 5, [Y])
    sink.finish([])
    assert list(open_predictions(tmp_path / "y.zarr").predictions.data_vars) == ["y"]


@pytest.mark.parametrize("kind", [MemorySink, ZarrSink])
def test_draws_are_kept_as_they_are(kind: Any, tmp_path: Path) -> None:
    arguments = () if kind is MemorySink else (tmp_path / "y.zarr", 5)
    [values] = kind(TEMPLATE, *arguments).reduction([Y])
    assert values is Y
