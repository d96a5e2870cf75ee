"""benchmarks/first_step.py: caches that are cold, and the target read off the median."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

type Script = Callable[[str], ModuleType]


@pytest.fixture
def first_step(script: Script) -> ModuleType:
    return script("first_step")


def test_small_is_one_run_on_few_rows(first_step: ModuleType) -> None:
    small, full = first_step.parse(["--small"]), first_step.parse([])
    assert (small.runs, small.rows) == (1, 10_000)
    assert (full.runs, full.rows) == (5, 1_000_000)


def test_caches_lie_in_the_folder(
    first_step: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTENSOR_FLAGS", "floatX=float64")
    variables = first_step.cold_caches(tmp_path)
    assert variables["PYTENSOR_FLAGS"] == f"floatX=float64,base_compiledir={tmp_path / 'pytensor'}"
    assert variables["NUMBA_CACHE_DIR"] == str(tmp_path / "numba")


@pytest.mark.parametrize(("seconds", "met"), [([3.0, 9.0, 2.0], True), ([3.0, 9.0, 5.0], False)])
def test_target_is_for_the_median(
    first_step: ModuleType, capsys: pytest.CaptureFixture[str], seconds: list[float], met: bool
) -> None:
    assert first_step.report({"bayou": seconds, "pymc-c": [6.0, 18.0, 4.0]}) is met
    printed = capsys.readouterr().out
    assert f"at most 4 s: {'met' if met else 'missed'}" in printed
    assert "2.0" in printed
