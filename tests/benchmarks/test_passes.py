"""The benchmark of passes: what it compares with is the posterior, and a fit prints its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def passes(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("passes")


def test_newtons_method_ends_at_the_mode(passes: ModuleType) -> None:
    x, y = passes.logistic_rows(2000)
    _, mode, std = passes.newton(x, y)
    p = 1 / (1 + np.exp(-x @ mode))
    np.testing.assert_allclose(x.T @ (y - p) - mode, 0, atol=1e-8)
    precision = x.T @ (x * (p * (1 - p))[:, None]) + np.eye(x.shape[1])
    np.testing.assert_allclose(std, np.sqrt(np.diag(np.linalg.inv(precision))))


def test_a_fit_prints_its_moments(passes: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    passes.fit_once(20_000, None, 1)
    found = json.loads(capsys.readouterr().out)
    _, mode, std = passes.newton(*passes.logistic_rows(20_000))
    assert np.abs((np.array(found["mean"]) - mode) / std).max() < 0.1
    assert found["correction"] == "linear_response"
    assert found["passes"] > 3


def test_peers_that_are_not_right_or_not_there_do_not_count(
    passes: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mode, std = passes.newton(*passes.logistic_rows(2000))

    def moments(seconds: float, shift: float) -> dict[str, Any]:
        mean = (mode + shift * std).tolist()
        return {"seconds": seconds, "cpu": 1.0, "mean": mean, "std": std.tolist()}

    found = {
        "pm.find_MAP and Hessian": moments(8.0, 0.01),
        "pymc-extras fit_laplace": moments(1.0, 0.1),
        "NumPyro SVI": "skipped: numpyro is not installed",
    }
    monkeypatch.setattr(passes, "PEERS", dict.fromkeys(found))
    monkeypatch.setattr(passes, "run_cold", lambda *_: moments(2.0, 0.0))
    monkeypatch.setattr(passes, "run_peer", lambda name, *_: found[name])
    notes: list[tuple[str, str]] = []

    def note(claim: str, measured: str, wanted: str, *, met: bool) -> None:
        notes.append((measured, f"{wanted} {met}"))

    monkeypatch.setattr(passes, "note", note)
    assert passes.compare_peers(2000, 60, [])
    assert notes == [("4.0 times", "3 True")]
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("not as right")
    assert lines[3].endswith("skipped: numpyro is not installed")


def test_a_peer_ends_at_the_mode(passes: ModuleType) -> None:
    found = passes.run_peer("pm.find_MAP and Hessian", 2000, 120, [])
    _, mode, std = passes.newton(*passes.logistic_rows(2000))
    np.testing.assert_allclose(found["mean"], mode, atol=0.01 * std.min())
    np.testing.assert_allclose(found["std"], std, rtol=0.001)


def test_a_peer_that_is_not_installed_is_named(passes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "numpyro.py").write_text("raise ImportError")
    found = passes.run_peer("NumPyro SVI", 2000, 120, [tmp_path])
    assert found == "skipped: numpyro is not installed"


@pytest.mark.parametrize("kind", ["poisson", "normal"])
def test_regressions_end_at_their_modes(script: Callable[[str], ModuleType], kind: str) -> None:
    models = script("pass_models")
    x, y = models.model_rows(kind, 2000)
    mode, std = models.posterior_moments(kind, x, y)
    mean = np.exp(x @ mode) if kind == "poisson" else x @ mode
    variance = 1.0 if kind == "poisson" else np.mean((y - mean) ** 2)
    np.testing.assert_allclose(x.T @ (y - mean) / variance, mode, atol=1e-6)
    weights = mean if kind == "poisson" else np.full(len(y), 1 / variance)
    precision = x.T @ (x * weights[:, None]) + np.eye(len(mode))
    np.testing.assert_allclose(std, np.sqrt(np.diag(np.linalg.inv(precision))))


@pytest.mark.slow
def test_a_fit_of_hierarchical_scales_is_near_their_posterior(
    script: Callable[[str], ModuleType], passes: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    models = script("pass_models")
    mean, std = models.posterior_moments("hierarchical", *models.model_rows("hierarchical", 20_000))
    passes.fit_once(20_000, None, 1, "hierarchical")
    found = json.loads(capsys.readouterr().out)
    assert len(found["mean"]) == 1 + sum(models.LEVELS) + len(models.LEVELS)
    assert np.abs((np.array(found["mean"]) - mean) / std).max() < 0.15
    assert np.abs(np.array(found["std"]) / std - 1).max() < 0.12
