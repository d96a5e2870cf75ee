"""The way of data sets to a tree: in order, through errors and interruptions, with labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.errors import ConvergenceWarning, OtherDataError
from bayou.many.collect import run_many, structure_digest
from bayou.many.data_sets.by_key import read_data_sets
from bayou.many.data_sets.pending import Pending, PendingDataSet
from bayou.many.results.outcome import OUTCOMES_PER_WRITE, Outcome, ResultAxes
from bayou.many.results.zarr_folder import recorded_setting

# Draws of one chain are never as R-hat wants them.
pytestmark = pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning")


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", [0.0], dims="row")
        mu = pm.Normal("mu")
        pm.Deterministic("residual", y - mu, dims="row")
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    return model


class Runs:
    """What runs on each data set: draws from its seed; data sets that are negative fail."""

    def __init__(self, *, backwards: bool = False, rhat: float = 1.0) -> None:
        self.keys: list[Any] = []
        self.backwards = backwards
        self.rhat = rhat

    def __call__(self, model: pm.Model, pending: Iterator[Pending]) -> Iterator[Outcome]:
        outcomes = (self._outcome(model, data_set) for data_set in pending)
        yield from reversed(list(outcomes)) if self.backwards else outcomes

    def _outcome(self, model: pm.Model, data_set: Pending) -> Outcome:
        if not isinstance(data_set, PendingDataSet):
            return data_set
        self.keys.append(data_set.key)
        if (data_set.arrays[model["y"]] < 0).any():
            return data_set.failed(ValueError("negative"))
        rng = np.random.default_rng(data_set.seed)
        posterior = {
            "mu": rng.normal(size=(2, 4)),
            "residual": rng.normal(size=(2, 4, len(data_set.arrays[model["y"]]))),
        }
        return data_set.succeeded({"posterior": posterior}, {"rhat": self.rhat})


def collected(
    model: pm.Model,
    datasets: Any,
    run: Any,
    out: Path | None = None,
    seed: int | None = 1,
    column: str | None = None,
) -> xr.DataTree:
    return run_many(
        run,
        model,
        read_data_sets(model, datasets, column),
        axes=ResultAxes.of(model, ("rhat",), {}),
        settings={"sampler": "none", "model": structure_digest(model)},
        seed=seed,
        cluster=None,
        out=out,
        progressbar=False,
    )


DATA: dict[str, Any] = {key: {"y": [float(number)]} for number, key in enumerate("abcdef")}


def test_results_in_memory_are_in_the_order_of_the_data_sets(model: pm.Model) -> None:
    forwards = collected(model, DATA, Runs())
    backwards = collected(model, DATA, Runs(backwards=True))
    for name, group in forwards.children.items():
        xr.testing.assert_identical(group.to_dataset(), backwards[name].to_dataset())
    assert forwards.posterior["dataset"].values.tolist() == list(DATA)
    other = collected(model, DATA, Runs(), seed=2)
    assert not np.array_equal(other.posterior["mu"], forwards.posterior["mu"])


@pytest.mark.parametrize("number", [3, OUTCOMES_PER_WRITE, 2 * OUTCOMES_PER_WRITE + 1])
def test_a_folder_goes_on_after_an_interruption(
    model: pm.Model, tmp_path: Path, number: int
) -> None:
    data = [{"y": [float(value)]} for value in range(number + 2)]

    def interrupted() -> Iterator[Any]:
        yield from data[:number]
        raise KeyboardInterrupt

    out = tmp_path / "many.zarr"
    with pytest.warns(UserWarning, match="The keyboard stopped the call after"):
        collected(model, interrupted(), Runs(), out, seed=None)
    run = Runs()
    tree = collected(model, data, run, out, seed=None)
    assert run.keys == [number, number + 1]
    seed = recorded_setting(out, "random_seed")
    expected = collected(model, data, Runs(), seed=seed)
    xr.testing.assert_equal(tree.posterior.to_dataset(), expected.posterior.to_dataset())


def test_data_sets_that_are_done_outlive_an_interruption(model: pm.Model) -> None:
    class Stopped(Runs):
        """Finishes the first data set and the third, and is stopped in the second."""

        def __call__(self, model: pm.Model, pending: Iterator[Pending]) -> Iterator[Outcome]:
            outcomes = list(super().__call__(model, pending))
            yield from (outcomes[0], outcomes[2])
            raise KeyboardInterrupt

    keys = [*DATA][:3:2]
    match = rf"stopped the call after 2 of {len(DATA)} data sets\.\nHint: pass `out` to keep"
    with pytest.warns(UserWarning, match=match):
        tree = collected(model, DATA, Stopped())
    assert tree.posterior["dataset"].values.tolist() == keys
    expected = collected(model, DATA, Runs()).posterior["mu"].sel(dataset=keys)
    xr.testing.assert_equal(tree.posterior["mu"], expected)


def test_an_interruption_before_the_first_is_raised(model: pm.Model) -> None:
    def stopped(model: pm.Model, pending: Iterator[Pending]) -> Iterator[Outcome]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        collected(model, DATA, stopped)


def test_what_failed_is_counted_and_runs_again_once_it_is_changed(
    model: pm.Model, tmp_path: Path
) -> None:
    out = tmp_path / "many.zarr"
    bad = {key: {"y": [-1.0]} for key in "ghijkl"}
    match = r"6 of 12 data sets failed: 'g', 'h', 'i', 'j', 'k', and 1 more\.\nHint: tree\["
    with pytest.warns(UserWarning, match=match):
        collected(model, DATA | bad, Runs(), out)
    run = Runs()
    with pytest.warns(UserWarning, match="5 of 12 data sets failed"):
        tree = collected(model, DATA | bad | {"l": {"y": [7.0]}}, run, out)
    assert run.keys == ["l"]
    assert tree.posterior["dataset"].values.tolist() == [*DATA, "l"]


def test_nothing_but_failures_is_an_error(model: pm.Model) -> None:
    with pytest.raises(ValueError, match=r"Each of the 2 data sets failed, 0 with:\nValueError: n"):
        collected(model, [{"y": [-1.0]}, {"y": [-2.0]}], Runs())
    with pytest.raises(ValueError, match="at least one data set, got an iterable without any"):
        collected(model, iter(()), Runs())


def test_doubtful_results_are_counted(model: pm.Model) -> None:
    with pytest.warns(ConvergenceWarning, match="6 of 6 .* doubtful: 6 with R-hat above 1.01"):
        collected(model, DATA, Runs(rhat=1.2))


def test_digests_are_of_the_structure(model: pm.Model) -> None:
    def digest(sd: float, values: list[float]) -> str:
        with pm.Model() as model:
            y = by.Data("y", values, dims="row")
            pm.Normal("observed", pm.Normal("mu"), sd, observed=y, dims="row")
        return structure_digest(model)

    assert digest(1, [0.0]) == digest(1, [5.0, 6.0]) != digest(2, [0.0])


def labelled(frame: pd.DataFrame | pd.Series[Any], **options: Any) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", frame, export_index_as_coords=True, **options)
        mu = pm.Normal("mu")
        pm.Deterministic("residual", y - mu, dims="row")
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    return model


def series(*labels: str) -> dict[str, Any]:
    return {"y": pd.Series(np.arange(len(labels)), index=list(labels), dtype=float)}


def labels_of(tree: xr.DataTree) -> Any:
    found = tree.posterior
    return found["row"].values.tolist() if "row" in found.coords else None


LABELS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "of one": ([series("n", "m")], ["n", "m"]),
    "of both": ([series("n", "m"), series("n", "m")], ["n", "m"]),
    "in another order": ([series("n", "m"), series("m", "n")], None),
    "of another length": ([series("m", "n"), series("m")], None),
    "of no length of the model": ([series("x"), series("x")], ["x"]),
    "of the model": ([{"y": [1.0, 2.0]}, series("m", "n")], ["m", "n"]),
    "counted": ([{"y": [1.0]}, series("m", "n")], None),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_those_of_the_data(tmp_path: Path, case: str) -> None:
    datasets, expected = LABELS[case]
    model = labelled(pd.Series(1.0, index=pd.Index(["m", "n"], name="row")))
    assert labels_of(collected(model, datasets, Runs())) == expected
    for number in range(1, len(datasets) + 1):  # One after another.
        tree = collected(model, datasets[:number], Runs(), tmp_path / "many.zarr")
    assert labels_of(tree) == expected


def test_a_folder_is_of_the_labels_of_its_data(tmp_path: Path) -> None:
    model = labelled(pd.Series(1.0, index=pd.Index(["m", "n"], name="row")))
    collected(model, [series("n", "m")], Runs(), tmp_path / "many.zarr")
    with pytest.raises(OtherDataError, match="results of the same data, got other data for 0"):
        collected(model, [series("p", "q")], Runs(), tmp_path / "many.zarr")


def test_groups_bring_the_labels_of_their_rows() -> None:
    frame = pd.DataFrame({"shop": [1, 2, 1, 2], "y": 1.0}, index=pd.Index([*"abcd"], name="row"))
    model = labelled(frame[:2], columns="y")
    assert labels_of(collected(model, frame, Runs(), column="shop")) is None
    tree = collected(model, frame[frame["shop"] == 2], Runs(), column="shop")
    assert labels_of(tree) == ["b", "d"]
