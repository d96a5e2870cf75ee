"""benchmarks/predict.py: each tool predicts, and the targets are read off their costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

type Script = Callable[[str], ModuleType]


@pytest.fixture
def predict(script: Script) -> ModuleType:
    return script("predict")


@pytest.mark.parametrize("tool", ["bayou zarr", "bayou parquet", "pymc"])
def test_tool_predicts(predict: ModuleType, tmp_path: Path, tool: str) -> None:
    predict.write_files(tmp_path / "rows", 300)
    cost = predict.work(tool, tmp_path / "rows", 200, 20)
    assert cost.rate > 0
    assert cost.peak > 10**8
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_small_is_one_turn_on_few_rows(predict: ModuleType) -> None:
    small, full = predict.parse(["--small"]), predict.parse([])
    assert (small.rounds, small.rows) == (1, 100_000)
    assert (full.rounds, full.rows) == (3, 1_000_000)
    assert predict.slice_rows(1000) == 62_500


@pytest.mark.parametrize(
    ("rate", "peak", "met"), [(900.0, 10**9, True), (700.0, 10**9, False), (900.0, 2e9, False)]
)
def test_targets_are_ten_times_in_a_gigabyte(
    predict: ModuleType, rate: float, peak: float, met: bool
) -> None:
    costs = {
        "bayou zarr": [predict.Cost(rate, peak)] * 3,
        "pymc": [predict.Cost(80.0, 3e9)] * 3,
    }
    assert predict.report(costs) is met
