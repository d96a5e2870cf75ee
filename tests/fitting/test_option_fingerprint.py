"""Fingerprints of options: the same for the same computation, whatever object it is."""

from __future__ import annotations

import pickle

import numpy as np
import optax
import pytest

import bayou as by
from bayou.fitting.option_fingerprint import optimizer_fingerprint, order_fingerprint


def test_orders() -> None:
    assert order_fingerprint("shuffled") == "shuffled"
    same, again = (by.Weighted(np.array([0.5, 0.5])) for _ in range(2))
    assert order_fingerprint(same) == order_fingerprint(again)
    assert order_fingerprint(same) != order_fingerprint(by.Weighted(np.array([0.4, 0.6])))


@pytest.mark.parametrize(
    "order",
    [
        by.Weighted(np.array([0.5, 0.2, 0.3])),
        by.Stratified(["a", "b", "b"]),
        by.Stratified(["a", "b", "b"], {"a": 1, "b": 1}),
    ],
    ids=["weighted", "stratified", "with batch_rows"],
)
def test_an_order_is_the_same_after_use(order: by.Weighted | by.Stratified) -> None:
    new = order_fingerprint(order)
    order.rows(np.uint64(1), 0, 3, 3, 2)
    assert order_fingerprint(order) == new
    again = pickle.loads(pickle.dumps(order))
    assert (
        again.rows(np.uint64(1), 0, 3, 3, 2).tolist()
        == order.rows(np.uint64(1), 0, 3, 3, 2).tolist()
    )


def test_optimizers() -> None:
    assert optimizer_fingerprint(None) == "adam"
    assert optimizer_fingerprint(optax.sgd(0.1)) == optimizer_fingerprint(optax.sgd(0.1))
    assert optimizer_fingerprint(optax.sgd(0.1)) != optimizer_fingerprint(optax.sgd(0.2))
    schedules = [optax.exponential_decay(0.1, 10, rate) for rate in (0.5, 0.6)]
    slow, fast = (optimizer_fingerprint(optax.sgd(schedule)) for schedule in schedules)
    assert slow != fast
