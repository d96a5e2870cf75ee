"""Data sets run by worker processes: the outcomes of one process, whichever workers die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.many.data_sets.by_key import DataSets
from bayou.many.data_sets.pending import Pending, PendingDataSet, pending_data_sets
from bayou.many.dispatch import dispatch
from bayou.many.fit_many import fit_outcomes
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.many.results.outcome import Failure, Outcome
from bayou.many.vectorised.blackjax_nuts import blackjax_outcomes
from bayou.nuts.settings import NutsSettings
from tests.shops import data_sets
from tests.warm_workers import WarmWorkers

SETTINGS = NutsSettings(draws=10, tune=20, chains=2)
NUTPIE = partial(nutpie_outcomes, settings=SETTINGS)
CLUSTER = by.Ray(2)


def pending(model: pm.Model, new_data: dict[str, Any]) -> Iterator[Pending]:
    return pending_data_sets(model, DataSets(new_data.items(), len(new_data)), 3)


def assert_same(outcomes: list[Outcome], expected: list[Outcome], rtol: float = 0.0) -> None:
    assert [outcome.key for outcome in outcomes] == [outcome.key for outcome in expected]
    for one, other in zip(outcomes, expected, strict=True):
        assert one.failure == other.failure
        assert one.fingerprint == other.fingerprint
        assert one.labels == other.labels
        assert one.groups.keys() == other.groups.keys()
        for group, arrays in other.groups.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(one.groups[group][name], array, rtol=rtol)


def test_outcomes_are_those_of_this_process(model: pm.Model, warm_workers: WarmWorkers) -> None:
    new_data: dict[str, Any] = data_sets({"one": 2, "two": 3, "three": 1})
    new_data |= {"unreadable": {"price": [1.0]}, "infinite": {"price": [1.0], "sold": [np.inf]}}
    expected = list(dispatch(NUTPIE, model, pending(model, new_data), None, 5))
    outcomes = list(
        dispatch(
            NUTPIE,
            model,
            pending(model, new_data),
            by.Ray(1),
            5,
            judged=["b"],
            start_pool=warm_workers,
        )
    )
    assert_same(outcomes, expected)
    # Workers compute the convergence of what did not fail.
    assert ["rhat" in outcome.diagnostics for outcome in outcomes] == [True] * 3 + [False] * 2


def own_densities() -> pm.Model:
    def density(value: Any, mean: Any) -> Any:
        return -((value - mean) ** 2)

    with pm.Model() as model:
        x = by.Data("x", np.arange(3.0), dims="row")
        y = by.Data("y", np.arange(3.0), dims="row")
        slope = pm.CustomDist("slope", 0.0, logp=density)
        pm.CustomDist("observed", slope * x, logp=density, observed=y, dims="row")
    return model


def one_mean() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", np.zeros(3), dims="row")
        pm.Normal("observed", pm.Normal("mu"), 1, observed=y, dims="row")
    return model


RUNS: dict[str, tuple[Callable[[], pm.Model], Any, float]] = {
    "densities of one's own": (own_densities, NUTPIE, 0.0),
    "batches of blackjax": (one_mean, partial(blackjax_outcomes, settings=SETTINGS), 0.0),
    # Sums over rows are rounded differently.
    "fits": (one_mean, partial(fit_outcomes, n="auto", method="auto", draws=20), 1e-10),
}


@pytest.mark.parametrize(
    "run",
    [name if name == "fits" else pytest.param(name, marks=pytest.mark.slow) for name in RUNS],
)
def test_everything_that_runs_on_data_sets_pickles(warm_workers: WarmWorkers, run: str) -> None:
    make, function, rtol = RUNS[run]
    model = make()
    new_data = {"up": {"y": [0.0, 1.0, 2.0]}, "down": {"y": [0.0, -1.0, -2.0]}}
    expected = list(dispatch(function, model, pending(model, new_data), None, 2))
    outcomes = dispatch(
        function, model, pending(model, new_data), by.Ray(1), 2, start_pool=warm_workers
    )
    assert_same(list(outcomes), expected, rtol)


def recording(model: pm.Model, data_sets: Iterator[Pending]) -> Iterator[Outcome]:
    """Return the process that has each data set; kill it where that says so."""
    for data_set in data_sets:
        assert isinstance(data_set, PendingDataSet)
        if data_set.fingerprint == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if data_set.fingerprint == "raises":
            raise ValueError("no")
        number = len(data_set.arrays[model["y"]])
        yield data_set.succeeded({}, {"rows": number, "process": os.getpid()})


def dispatched(
    fingerprints: list[str], warm_workers: WarmWorkers, number: int | None
) -> list[Outcome]:
    model = one_mean()
    first, *_ = pending(model, {"first": {"y": [1.0, 2.0]}})
    assert isinstance(first, PendingDataSet)
    numbered = (replace(first, key=key, fingerprint=text) for key, text in enumerate(fingerprints))
    run: Any = recording
    return list(dispatch(run, model, numbered, CLUSTER, number, start_pool=warm_workers))


@pytest.mark.slow
def test_a_data_set_that_kills_workers_fails_alone(warm_workers: WarmWorkers) -> None:
    fingerprints = [""] * 5 + ["kills"] + [""] * 6 + ["raises"] + [""] * 3
    outcomes = dispatched(fingerprints, warm_workers, len(fingerprints))
    assert [outcome.key for outcome in outcomes] == list(range(len(fingerprints)))
    killer, raising = outcomes.pop(5), outcomes.pop(11)
    assert killer.failure is not None
    assert killer.failure.is_of_worker
    assert raising.failure == Failure("ValueError", "no")
    assert {outcome.diagnostics["rows"] for outcome in outcomes} == {2}
    assert len({outcome.diagnostics["process"] for outcome in outcomes}) >= 2


def test_the_number_may_be_unknown(warm_workers: WarmWorkers) -> None:
    outcomes = dispatched([""] * 20, warm_workers, None)
    assert len(outcomes) == 20
    assert all(outcome.failure is None for outcome in outcomes)


def test_outcomes_are_not_lost_with_a_worker(warm_workers: WarmWorkers) -> None:
    model = one_mean()
    outcome = Outcome("one", "", failure=Failure("ValueError", "no"))

    def run(model: pm.Model, data_sets: Iterator[Pending]) -> Iterator[Outcome]:
        for _ in data_sets:
            raise ValueError("the call failed")
        yield from ()

    pool = dispatch(run, model, iter([outcome]), by.Ray(1), 1, start_pool=warm_workers)  # type: ignore[arg-type]
    assert [found.failure for found in pool] == [outcome.failure]
