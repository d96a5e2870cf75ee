"""benchmarks/calibration.py: its models have a density, and what does not pass ends with 1."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

import bayou as by
from bayou.density.build import compile_program

type Script = Callable[[str], ModuleType]


@pytest.mark.parametrize("name", ["schools", "logistic", "intercepts"])
def test_models_have_a_density(script: Script, name: str) -> None:
    program = compile_program(script("calibration").MODELS[name]())
    terms = program.interpreted_terms(program.start(1), program.data_values())
    assert all(np.isfinite(values).all() for values in terms.values())


@pytest.mark.parametrize("passes", [True, False])
def test_exit_code(
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    passes: bool,
) -> None:
    class Result:
        p_values = {"mu": 0.4}  # noqa: RUF012

        def __bool__(self) -> bool:
            return passes

    asked = []

    def calibrate(model: object, number: int, **settings: object) -> Result:
        asked.append((number, settings["method"]))
        return Result()

    monkeypatch.setattr(by, "calibrate", calibrate)
    monkeypatch.setattr(sys, "argv", ["calibration.py", "--small", "schools"])
    assert script("calibration").main() == (0 if passes else 1)
    assert asked == [(20, "fit")]
    assert capsys.readouterr().out.startswith("schools, 0 s: ")
