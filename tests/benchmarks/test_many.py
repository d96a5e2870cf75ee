"""benchmarks/many.py: each claim runs on a few data sets."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

type Script = Callable[[str], ModuleType]

# Draws are few, to be quick.
pytestmark = pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning")


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ("growth", "growth:      4 data sets"),
        ("calibration", "calibration of a wrong model"),
    ],
)
def test_claim_of_a_small_run(
    script: Script, monkeypatch: pytest.MonkeyPatch, capsys: Any, claim: str, told: str
) -> None:
    many = script("many")
    monkeypatch.setattr(many, "SETTINGS", many.SETTINGS | {"draws": 50, "tune": 50, "chains": 2})
    many.CLAIMS[claim](small=True)
    assert told in capsys.readouterr().out


def test_data_of_the_regression_fit_its_model(script: Script) -> None:
    many = script("many")
    model = many.regression_model()
    assert sum(variable.size.eval() for variable in model.free_RVs) == 8
    rows = [len(values["y"]) for values in many.regression_data(20)]
    assert 100 <= min(rows) < max(rows) <= 300
