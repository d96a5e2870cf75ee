"""benchmarks/nuts.py: its models, its samplers, and caches that are cold once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

type Script = Callable[[str], ModuleType]

SIZES = {
    "logistic": 21,
    "radon": 89,
    "radon_noncentred": 89,
    "correlated": 11,
    "schools": 10,
    "funnel": 10,
}


@pytest.fixture
def nuts(script: Script) -> ModuleType:
    return script("nuts")


def test_models_have_a_density_where_they_start(nuts: ModuleType) -> None:
    assert set(nuts.MODELS) == set(SIZES)
    for name, size in SIZES.items():
        model = nuts.build(name, rows=50)
        start = model.initial_point()
        assert sum(np.size(value) for value in start.values()) == size, name
        assert all(np.isfinite(value) for value in model.point_logps(start).values()), name


def test_numpyro_is_left_out_where_it_is_not_installed(
    nuts: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nuts.importlib.util, "find_spec", lambda name: None)
    assert nuts.installed(list(nuts.SAMPLERS)) == [*nuts.SAMPLERS[:-1]]
    assert "NumPyro is not installed" in capsys.readouterr().out
    monkeypatch.setattr(nuts.importlib.util, "find_spec", lambda name: "a module")
    assert nuts.installed(["numpyro"]) == ["numpyro"]


def test_the_first_run_has_empty_caches_and_the_second_those_of_the_first(
    nuts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments: list[dict[str, str]] = []

    def run(command: list[str], env: dict[str, str], **options: Any) -> Any:
        environments.append(env)
        return subprocess.CompletedProcess(command, 0, '{"seconds": 1.0}')

    monkeypatch.setenv("PYTENSOR_FLAGS", "floatX=float64")
    monkeypatch.setattr(nuts.subprocess, "run", run)
    assert nuts.run_twice(["radon", "bayou", "200", "50"]) == [{"seconds": 1.0}] * 2
    first, second = environments
    assert first == second
    assert first["PYTENSOR_FLAGS"].startswith("floatX=float64,base_compiledir=")
    assert first["BAYOU_CODE_CACHE"].endswith("/bayou")


def test_the_largest_difference_is_in_errors_of_the_difference(nuts: ModuleType) -> None:
    one = {"a[0]": (1.0, 0.3), "a[1]": (2.0, 0.03)}
    other = {"a[0]": (1.5, 0.4), "a[1]": (2.1, 0.04)}
    assert nuts.largest_difference(one, other) == (pytest.approx(2.0), "a[1]")
