"""Divergences are counted, and put down to a variable."""

import warnings

import numpy as np
import pytest

from bayou.errors import ConvergenceWarning
from bayou.nuts.divergences import warn_of_divergences


def test_the_variable_at_fault_is_named() -> None:
    rng = np.random.default_rng(0)
    scale = rng.gamma(1, size=(2, 200))
    draws = {"mean": rng.normal(size=(2, 200, 3)), "scale": scale}
    message = r"^(\d+) of 400 trajectories diverged, most of them where 'scale' is small.*\nHint: "
    with pytest.warns(ConvergenceWarning, match=f"(?s){message}"):
        warn_of_divergences(scale < 0.05, draws)


def test_nothing_is_said_without_one() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_divergences(np.zeros((2, 500), bool), {"x": np.zeros((2, 500))})
        warn_of_divergences(np.ones((2, 10), bool), {"x": np.zeros((2, 10))})
