"""The benchmark of passes: what it compares with is the posterior, and a fit prints its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

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
    precision = x.T @ (x * (p * (1 - p))[:, None]) + np.eye(passes.NUM_COLUMNS)
    np.testing.assert_allclose(std, np.sqrt(np.diag(np.linalg.inv(precision))))


def test_a_fit_prints_its_moments(passes: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    passes.fit_once(20_000, None, 1)
    found = json.loads(capsys.readouterr().out)
    _, mode, std = passes.newton(*passes.logistic_rows(20_000))
    assert np.abs((np.array(found["mean"]) - mode) / std).max() < 0.1
    assert found["correction"] == "linear_response"
    assert found["passes"] > 3
