"""What a rung found, and when it passes."""

import json

import numpy as np
import pytest

from bayou.fitting.checks.moment_errors import Estimates
from bayou.ladder.answer import Answer, is_near


def estimates(error: float, noise: float = 0.01, number: int = 4) -> Estimates:
    values = np.zeros((number, 4))
    values[0, 0] = error
    return Estimates(values, np.full((number, 4), noise))


@pytest.mark.parametrize(
    ("found", "near"),
    [
        (estimates(0.05), True),
        # One element is off by more than a tenth, beyond a standard error.
        (estimates(0.13), False),
        (estimates(0.105), True),
        # All are known too badly.
        (estimates(0.0, noise=0.08), False),
        (estimates(np.nan), True),
    ],
)
def test_only_small_errors_pass(found: Estimates, near: bool) -> None:
    assert is_near(found) == near


def test_attributes_have_the_worst_element_of_each_variable() -> None:
    errors = {
        "a": np.array([[0.1, 0.2, 0.3, 0.4], [0.2, 0.1, np.nan, 0.5]]),
        "b": np.full((1, 4), np.nan),
    }
    attrs = Answer("fit", "good", "so", errors, {}, masses=[0.25, 0.75]).result_attrs()
    assert json.loads(str(attrs["errors"])) == {
        "a": {"mean": 0.2, "sd": 0.2, "q5": 0.3, "q95": 0.5},
        "b": {"mean": None, "sd": None, "q5": None, "q95": None},
    }
    assert attrs["mode_masses"] == [0.25, 0.75]
    assert attrs["inference_library"] == "bayou"
    assert "rhat" not in attrs
