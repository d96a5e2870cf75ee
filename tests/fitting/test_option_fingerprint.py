"""Fingerprints of options: the same for the same computation, whatever object it is."""

from __future__ import annotations

import numpy as np
import optax

import bayou as by
from bayou.fitting.option_fingerprint import optimizer_fingerprint, order_fingerprint


def test_orders() -> None:
    assert order_fingerprint("shuffled") == "shuffled"
    same, again = (by.Weighted(np.array([0.5, 0.5])) for _ in range(2))
    assert order_fingerprint(same) == order_fingerprint(again)
    assert order_fingerprint(same) != order_fingerprint(by.Weighted(np.array([0.4, 0.6])))


def test_optimizers() -> None:
    assert optimizer_fingerprint(None) == "adam"
    assert optimizer_fingerprint(optax.sgd(0.1)) == optimizer_fingerprint(optax.sgd(0.1))
    assert optimizer_fingerprint(optax.sgd(0.1)) != optimizer_fingerprint(optax.sgd(0.2))
    schedules = [optax.exponential_decay(0.1, 10, rate) for rate in (0.5, 0.6)]
    slow, fast = (optimizer_fingerprint(optax.sgd(schedule)) for schedule in schedules)
    assert slow != fast
