"""Convergence of many data sets: ArviZ's numbers of each, and one warning for all."""

import warnings

import numpy as np
import pytest
import xarray as xr

from bayou.errors import ConvergenceWarning
from bayou.many.results.convergence import (
    DOUBTS,
    warn_of_doubtful,
    with_convergence,
    worst_convergence,
)
from bayou.many.results.outcome import Failure, Outcome


def test_convergence_is_that_of_arviz_for_one_at_a_time() -> None:
    from arviz_stats.base.array import array_stats

    draws = np.random.default_rng(0).normal(size=(3, 4, 100, 2))
    draws[0, :, :, 1] = np.nan
    found = worst_convergence([draws[..., 0], draws])
    assert found["rhat"][0] == array_stats.rhat(draws[0, ..., 0], chain_axis=0, draw_axis=1)
    both = [array_stats.ess(draws[1, ..., part], chain_axis=0, draw_axis=1) for part in (0, 1)]
    assert found["ess_bulk"][1] == min(both)
    assert found["ess_tail"].shape == (3,)


@pytest.mark.filterwarnings("error")
def test_chains_that_never_moved_warn_of_nothing_in_arviz() -> None:
    draws = np.zeros((2, 2, 10, 1))
    draws[:, 1] = 1
    found = worst_convergence([draws])
    assert not (found["rhat"] <= 1.01).any()


def test_convergence_is_added_where_it_is_missing() -> None:
    def outcome(key: str, rows: int) -> Outcome:
        draws = np.random.default_rng(rows).normal(size=(2, 50, rows))
        return Outcome(key, "", {"posterior": {"b": draws}}, {"seconds": 1.0})

    failed = Outcome("failed", "", failure=Failure("ValueError", "no"))
    judged = Outcome("judged", "", {}, {"rhat": 7.0})
    given = [outcome("one", 1), failed, outcome("two", 3), judged]
    one, kept, two, same = with_convergence(given, ["b"])
    assert (kept.diagnostics, same.diagnostics) == ({}, {"rhat": 7.0})
    for found, rows in ((one, 1), (two, 3)):
        alone = worst_convergence([outcome("", rows).groups["posterior"]["b"][None]])
        expected = {name: values[0] for name, values in alone.items()}
        assert found.diagnostics == {"seconds": 1.0, **expected}
    assert with_convergence(given, []) == given


def table(**columns: list[float]) -> xr.Dataset:
    number = len(next(iter(columns.values())))
    variables = {name: ("dataset", values) for name, values in columns.items()}
    return xr.Dataset({**variables, "error": ("dataset", [""] * number)})


def test_each_doubtful_data_set_is_counted_once() -> None:
    found = table(rhat=[1.0, 1.02, 1.02, np.nan], divergences=[0.0, 3.0, 0.0, np.nan])
    text = r"Results of 2 of 4 data sets are doubtful: 2 with R-hat above 1\.01, 1 with diverge"
    with pytest.warns(ConvergenceWarning, match=text) as warned:
        warn_of_doubtful(found)
    assert len(warned) == 1
    with pytest.warns(ConvergenceWarning, match="1 with k-hat above 0.7, 1 did not converge"):
        warn_of_doubtful(table(khat=[0.8, 0.1, np.nan], converged=[1.0, 0.0, np.nan]))


def test_nan_is_no_reason_to_doubt() -> None:
    columns = {doubt.column: [np.nan] for doubt in DOUBTS}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_doubtful(table(**columns))


def test_draws_that_arviz_cannot_judge_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ValueError("too few draws")

    monkeypatch.setattr("bayou.many.results.convergence.worst_convergence", fail)
    given = [Outcome("one", "", {"posterior": {"b": np.zeros((2, 3))}}, {"seconds": 1.0})]
    with pytest.warns(UserWarning, match=r"^R-hat and ESS of 'one' are missing: .* draws\.\nHint"):
        [kept] = with_convergence(given, ["b"])
    assert kept.diagnostics == {"seconds": 1.0}
