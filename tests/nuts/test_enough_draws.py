"""Chains end at a number of draws that is good, whatever their speed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bayou.nuts.compiled.bound_density import DrawLayout
from bayou.nuts.enough_draws import EnoughDraws, check_until

LAYOUT = DrawLayout(("x", "twice"), ("float64", "float64"), ((), ()))


def trace(values: np.ndarray) -> Any:
    """Return nutpie's trace of draws of one variable and a deterministic, shape (chains, draws)."""
    draws, statistics = [], []
    for chain in values:
        flat = np.stack([chain, 2 * chain], axis=1).ravel()
        draws.append(pa.record_batch({"draws": pa.FixedSizeListArray.from_arrays(flat, 2)}))
        statistics.append(pa.record_batch({"tuning": pa.array(np.zeros(len(chain), bool))}))
    return SimpleNamespace(get_arrow_trace=lambda: (draws, statistics))


def test_good_draws_are_enough() -> None:
    values = np.random.default_rng(0).normal(size=(4, 400))
    enough = EnoughDraws(["x"], LAYOUT, 4)
    assert enough(trace(values), 300)
    assert enough.number == 300


def test_few_or_unequal_draws_are_not() -> None:
    values = np.random.default_rng(0).normal(size=(4, 400))
    enough = EnoughDraws(["x"], LAYOUT, 4)
    assert not enough(trace(values), 60)
    assert not enough(trace(values + 0.5 * np.arange(4)[:, None]), 400)
    assert enough.number is None
    # 100 effective draws of each chain.
    assert not EnoughDraws(["x"], LAYOUT, 20)(trace(np.tile(values, (5, 1))[:, :90]), 90)


def test_numbers_of_draws() -> None:
    assert check_until(None, None, 4) == 1000
    assert check_until(None, 7, 1) == 7
    assert check_until("good", None, 4) == 10_000
    assert check_until("good", 500, 2) == 500
    with pytest.raises(ValueError, match=r"`until` must be 'good' or None, got 'best'\.\nHint"):
        check_until("best", None, 4)
    with pytest.raises(ValueError, match=r"`chains` must be at least 2 with until='good', got 1"):
        check_until("good", None, 1)
