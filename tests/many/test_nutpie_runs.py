"""nutpie on many data sets: what runs at a time, what fails alone, and what an error ends."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pymc as pm
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bayou.many import nutpie_runs
from bayou.many.data_sets.by_key import DataSets
from bayou.many.data_sets.pending import Pending, pending_data_sets
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.many.results.outcome import Failure, Outcome
from bayou.nuts.chains import start_chains
from bayou.nuts.settings import NutsSettings
from tests.shops import data_sets

SETTINGS = NutsSettings(draws=10, tune=20, chains=2)


def pending(model: pm.Model, new_data: dict[str, Any]) -> Iterator[Pending]:
    return pending_data_sets(model, DataSets(new_data.items(), len(new_data)), 3)


def test_outcomes_are_in_order_and_failures_are_alone(model: pm.Model) -> None:
    bad = {"price": [1.0], "sold": [np.inf]}
    new_data = {"unreadable": {"price": [1.0]}, **data_sets({"one": 2}), "infinite": bad}
    new_data |= data_sets({"two": 3})
    outcomes = list(nutpie_outcomes(model, pending(model, new_data), SETTINGS))
    assert [outcome.key for outcome in outcomes] == list(new_data)
    unreadable, one, infinite, two = outcomes
    assert unreadable.failure is not None
    assert unreadable.failure.kind == "ShapeError"
    assert infinite.failure is not None
    assert "-inf from 'observed'" in infinite.failure.message
    for outcome, rows in ((one, 2), (two, 3)):
        assert outcome.failure is None
        assert outcome.groups["posterior"]["mean"].shape == (2, 10, rows)
        assert outcome.diagnostics["num_row"] == rows
        assert outcome.diagnostics.keys() == {
            "num_row",
            "divergences",
            "reached_max_treedepth",
            "bfmi",
            "seconds",
        }


def test_outcomes_are_passed_on(model: pm.Model) -> None:
    outcome = Outcome("one", "", failure=Failure("ValueError", "no"))
    assert list(nutpie_outcomes(model, iter([outcome]), SETTINGS)) == [outcome]


def test_an_error_of_the_iterator_ends_all_chains(model: pm.Model) -> None:
    samplers: list[Any] = []

    def start(*args: Any) -> Any:
        samplers.append(start_chains(*args))
        return samplers[-1]

    def broken() -> Iterator[Pending]:
        yield from pending(model, data_sets({"one": 3, "two": 3}))
        raise KeyboardInterrupt

    settings = NutsSettings(draws=10**7, tune=20, chains=2)
    with pytest.raises(KeyboardInterrupt):
        list(nutpie_outcomes(model, broken(), settings, start))
    assert [sampler.is_finished for sampler in samplers] == [True, True]


def test_data_sets_share_the_cores(model: pm.Model) -> None:
    found = set()

    def start(*args: Any) -> Any:
        found.update(library["num_threads"] for library in threadpool_info())
        return start_chains(*args)

    with threadpool_limits(2):
        list(nutpie_outcomes(model, pending(model, data_sets({"one": 3})), SETTINGS, start))
        assert {library["num_threads"] for library in threadpool_info()} == {2}
    assert found == {1}


def test_a_sampler_that_fails_is_one_data_set(model: pm.Model) -> None:
    class Failing:
        cancelled = False

        def wait(self) -> None:
            raise RuntimeError("out of memory")

        def cancel(self) -> None:
            Failing.cancelled = True

    def start(bound: Any, settings: NutsSettings, seed: int) -> Any:
        is_first = bound.draw_layout.shapes[1] == (2,)
        return Failing() if is_first else start_chains(bound, settings, seed)

    new_data = data_sets({"one": 2, "two": 3})
    one, two = nutpie_outcomes(model, pending(model, new_data), SETTINGS, start)
    assert one.failure == Failure("RuntimeError", "out of memory")
    assert Failing.cancelled
    assert two.failure is None


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 3), (5, 5)])
def test_two_data_sets_more_than_cores_need_run_at_a_time(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch, cores: int, most: int
) -> None:
    monkeypatch.setattr(nutpie_runs, "usable_cores", lambda: cores)
    started: list[int] = []

    def start(*args: Any) -> Any:
        started.append(0)
        return start_chains(*args)

    lengths = {str(key): 1 for key in range(7)}
    outcomes = nutpie_outcomes(model, pending(model, data_sets(lengths)), SETTINGS, start)
    next(outcomes)
    assert len(started) == most
    outcomes.close()


def test_a_trace_that_cannot_be_read_is_one_data_set(model: pm.Model) -> None:
    class Unreadable:
        def wait(self) -> Any:
            return self

        def get_arrow_trace(self) -> None:
            raise TypeError("no batches")

    def start(bound: Any, settings: NutsSettings, seed: int) -> Any:
        is_first = bound.draw_layout.shapes[1] == (2,)
        return Unreadable() if is_first else start_chains(bound, settings, seed)

    new_data = data_sets({"one": 2, "two": 3})
    one, two = nutpie_outcomes(model, pending(model, new_data), SETTINGS, start)
    assert one.failure == Failure("TypeError", "no batches")
    assert two.failure is None
