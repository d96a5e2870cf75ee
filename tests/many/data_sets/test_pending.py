"""The data sets that are still to run: those without results, and those that may succeed now."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayou as by
from bayou.errors import OtherDataError
from bayou.many.data_sets.by_key import DataSets, read_data_sets
from bayou.many.data_sets.pending import (
    Pending,
    PendingDataSet,
    lengths_of,
    pending_data_sets,
    seed_of,
)
from bayou.many.results.in_memory import InMemoryResults
from bayou.many.results.outcome import Failure, Outcome
from tests.many.results.small_results import AXES


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0], dims="row")
        pm.Normal("observed", pm.Normal("mu"), 1, observed=y, dims="row")
    return model


def labelled(model_labels: list[str]) -> pm.Model:
    with pm.Model() as model:
        index = pd.Index(model_labels, name="row")
        y = by.Data("y", pd.Series(1.0, index=index), export_index_as_coords=True)
        pm.Normal("observed", pm.Normal("mu"), 1, observed=y, dims="row")
    return model


def series(*labels: str) -> dict[str, Any]:
    return {"y": pd.Series(np.arange(len(labels)), index=list(labels), dtype=float)}


def pending(model: pm.Model, datasets: Any, results: Any = None) -> list[Pending]:
    return list(pending_data_sets(model, read_data_sets(model, datasets, None), 3, results))


def done(*outcomes: Outcome) -> InMemoryResults:
    results = InMemoryResults(AXES)
    for outcome in outcomes:
        results.done[outcome.key] = outcome.fingerprint
        if outcome.failure is not None:
            results.failed[outcome.key] = outcome.failure
    return results


def test_arrays_are_copies_and_errors_are_outcomes(model: pm.Model) -> None:
    values = np.array([1.0, 2.0, 3.0])
    good, bad = pending(model, {"good": {"y": values}, "bad": {"y": ["text"]}})
    assert isinstance(good, PendingDataSet)
    assert good.seed == seed_of("good", 3)
    values[:] = 9.0
    assert good.arrays[model["y"]].tolist() == [1, 2, 3]
    assert lengths_of(model, good.arrays) == {"num_row": 3.0}
    assert isinstance(bad, Outcome)
    assert bad.fingerprint == ""
    assert bad.failure is not None
    assert good.succeeded({}, {"rhat": 1.0}).diagnostics == {"rhat": 1.0}
    assert good.failed(ValueError("no")).failure == Failure("ValueError", "no")


def test_fingerprints_are_of_values_and_labels() -> None:
    model = labelled(["m", "n"])
    data = {"a": series("m", "n"), "b": series("m", "n"), "c": series("n", "m")}
    data["d"] = {"y": data["a"]["y"] + 1}
    a, b, c, d = pending(model, data)
    assert a.fingerprint == b.fingerprint
    assert len({a.fingerprint, c.fingerprint, d.fingerprint}) == 3
    assert c.labels == {"row": ("n", "m")}


def test_what_is_done_is_left_out(model: pm.Model) -> None:
    datasets = {"one": {"y": [1.0]}, "two": {"y": [2.0]}}
    one, two = pending(model, datasets)
    [left] = pending(model, datasets, done(Outcome("one", one.fingerprint)))
    assert left.key == "two"
    with pytest.raises(OtherDataError, match="of the same data, got other data for 'one'"):
        pending(model, datasets, done(Outcome("one", two.fingerprint)))


@pytest.mark.parametrize(
    ("kind", "same_data", "runs"),
    [
        ("ValueError", True, False),
        ("ValueError", False, True),
        ("WorkerDiedError", True, True),
    ],
)
def test_what_failed_runs_where_it_may_succeed(
    model: pm.Model, kind: str, same_data: bool, runs: bool
) -> None:
    datasets = {"one": {"y": [1.0]}}
    [one] = pending(model, datasets)
    fingerprint = one.fingerprint if same_data else "other"
    results = done(Outcome("one", fingerprint, failure=Failure(kind, "no")))
    assert bool(pending(model, datasets, results)) == runs


def test_data_that_could_not_be_read_are_read_again(model: pm.Model) -> None:
    datasets = {"one": {"y": ["text"]}}
    [one] = pending(model, datasets)
    assert isinstance(one, Outcome)
    assert [found.key for found in pending(model, datasets, done(one))] == ["one"]


def test_keys_must_be_new_and_of_one_type(model: pm.Model) -> None:
    pairs = [(1, {"y": [1.0]}), (np.int64(1), {"y": [1.0]})]
    with pytest.raises(ValueError, match=r"each key once, got 1 twice\.\nHint"):
        list(pending_data_sets(model, DataSets(pairs, 2), 3))
    text = r"keys of the type of those in `out`, such as 1, got 'x'\.\nHint"
    with pytest.raises(TypeError, match=text):
        pending(model, {"x": {"y": [1.0]}}, done(Outcome(1, "")))


def test_seeds_differ_by_key_and_seed() -> None:
    seeds = {seed_of(key, entropy) for key in ("1", 1, "2") for entropy in (0, 1, 2**70)}
    assert len(seeds) == 9
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_data_sets_are_read_one_by_one(model: pm.Model) -> None:
    read: list[int] = []

    def items() -> Iterator[Any]:
        for number in range(2):
            read.append(number)
            yield {"y": [float(number)]}

    found = pending_data_sets(model, read_data_sets(model, items(), None), 3)
    next(found)
    assert read == [0]
