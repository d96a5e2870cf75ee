"""benchmarks/compress.py: what is timed is what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import xarray as xr

import bayou as by
from bayou.compression.compressed_model import compressed_if_repeated

type Script = Callable[[str], ModuleType]


def test_the_rows_repeat_as_often_as_it_says(script: Script, tmp_path: Path) -> None:
    compress = script("compress")
    compress.write_rows(tmp_path, 3000, 100)
    assert compress.scan(tmp_path) == 3000
    cells = by.compress(by.scan(str(tmp_path / "*.parquet")), progressbar=False)
    assert cells.num_rows == 100


def test_nothing_repeats_and_outcomes_are_grouped(script: Script) -> None:
    compress = script("compress")
    assert compressed_if_repeated(compress.logistic(12_000)) is None
    model, means, sds = compress.regression(12_000)
    compressed = compressed_if_repeated(model)
    assert compressed is not None
    assert compressed.num_distinct == compress.GROUPS
    np.testing.assert_allclose(means, [1, 0.5, -0.5, 0.2, 0], atol=0.05)
    np.testing.assert_allclose(sds, 12_000**-0.5, rtol=0.2)


def test_gradients_of_tuning_are_as_many_as_those_of_draws(script: Script) -> None:
    steps = xr.Dataset({"n_steps": (("chain", "draw"), np.full((2, 10), 7))})
    posterior = xr.Dataset(attrs={"tuning_steps": 5})
    trace = xr.DataTree.from_dict({"sample_stats": steps, "posterior": posterior})
    assert script("compress").num_gradients(trace) == 2 * 15 * 7


def test_a_small_run_has_figures(script: Script) -> None:
    assert script("compress").parquet(20_000)["rows a second"] > 0
