"""by.sample_many(out=): what is there, failed or is lacking when a folder is gone on with."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
import zarr

import bayou as by
from bayou.errors import WorkerDiedError
from bayou.many import nutpie_runs
from bayou.many import sample_many as sample_many_module
from bayou.many.results import zarr_folder
from bayou.many.results.outcome import Failure
from tests.shops import data_sets, labelled, sample_many, series, shop_model

# Draws are few, to be quick.
pytestmark = pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning")


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return the model of the shops, compiled once."""
    return shop_model()


def test_a_failed_data_set_runs_again_with_other_data(model: pm.Model, tmp_path: Path) -> None:
    data, out = data_sets({"one": 2, "two": 3, "three": 4}), tmp_path / "many.zarr"
    unreadable: dict[str, Any] = {"price": [1.0], "sold": ["x"]}
    infinite = {"price": [1.0], "sold": [np.inf]}
    with pytest.warns(UserWarning, match="2 of 3 data sets failed: 'two', 'three'"):
        sample_many(data | {"two": unreadable, "three": infinite}, model, out=out)
    with pytest.warns(UserWarning, match="1 of 3 data sets failed: 'three'"):
        sample_many(data | {"three": infinite}, model, out=out)
    found, expected = sample_many(data, model, out=out), sample_many(data, model)
    order = ["one", "two", "three"]
    for group in ("posterior", "sample_stats", "diagnostics"):
        one, other = (tree[group].to_dataset().sel(dataset=order) for tree in (found, expected))
        names = [name for name in one if name != "seconds"]
        xr.testing.assert_equal(one[names], other[names])
    with pytest.raises(ValueError, match="of the same data, got other data for 'two'"):
        sample_many(data | {"two": infinite}, model, out=out)


def test_what_workers_died_of_runs_again(
    model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = data_sets({"one": 2, "two": 3}), tmp_path / "many.zarr"
    real = sample_many_module.nutpie_outcomes

    def dying(*args: Any, **options: Any) -> Iterator[Any]:
        for outcome in real(*args, **options):
            died = replace(outcome, failure=Failure.of(WorkerDiedError("3 workers died of it")))
            yield died if outcome.key == "two" else outcome

    with monkeypatch.context() as patch:
        patch.setattr(sample_many_module, "nutpie_outcomes", dying)
        with pytest.warns(UserWarning, match="1 of 2 data sets failed"):
            sample_many(data, model, out=out)
    assert sample_many(data, model, out=out).posterior.sizes["dataset"] == 2


def test_out_is_what_memory_would_hold(model: pm.Model, tmp_path: Path) -> None:
    data = data_sets({f"{number:02}": 1 + number % 3 for number in range(34)})
    expected = sample_many(data, model)
    for part in (slice(0, 2), slice(0, 34)):
        found = sample_many(dict([*data.items()][part]), model, out=tmp_path / "many.zarr")
    read = xr.open_datatree(tmp_path / "many.zarr", engine="zarr", consolidated=False)
    for tree in (found, read):
        for group in ("posterior", "sample_stats"):
            xr.testing.assert_equal(tree[group].to_dataset(), expected[group].to_dataset())
    names = list(expected["diagnostics"].to_dataset().drop_vars("seconds"))
    xr.testing.assert_equal(
        found["diagnostics"].to_dataset()[names], expected["diagnostics"].to_dataset()[names]
    )
    assert list(found.posterior) == list(expected.posterior)


def test_an_interrupted_run_goes_on(
    model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_sets({f"{number:02}": 1 + number % 3 for number in range(20)})
    out = tmp_path / "many.zarr"

    def interrupted() -> Iterator[Any]:
        yield from [*data.values()][:7]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_many(interrupted(), model, out=out)
    kept = zarr.open_group(out, mode="r").attrs["bayou"]["counts"]["posterior"]
    assert 4 <= kept <= 7

    real = zarr_folder.write_rows

    def killed(group: Any, name: str, *rest: Any) -> Any:
        if name == "energy":
            raise MemoryError("killed in the middle of a batch")
        return real(group, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(zarr_folder, "write_rows", killed)
        with pytest.raises(MemoryError):
            sample_many(data.values(), model, out=out)
    ran: list[Any] = []
    with monkeypatch.context() as patch:
        begin = nutpie_runs._start_run
        patch.setattr(
            nutpie_runs,
            "_start_run",
            lambda *args: ran.append(0) or begin(*args),  # type: ignore[func-returns-value]
        )
        found = sample_many(data.values(), model, out=out)
    assert len(ran) == 20 - kept
    expected = sample_many(data.values(), model)
    for group in ("posterior", "sample_stats"):
        xr.testing.assert_equal(found[group].to_dataset(), expected[group].to_dataset())


def test_out_of_another_run_is_refused(model: pm.Model, tmp_path: Path) -> None:
    data, out = data_sets({"one": 2}), tmp_path / "many.zarr"
    sample_many(data, model, out=out, random_seed=None)
    again = sample_many(data, model, out=out, random_seed=None)
    assert again.posterior.sizes["dataset"] == 1
    with pytest.raises(ValueError, match="got another draws: 30 then, 31 now"):
        sample_many(data, model, out=out, random_seed=None, draws=31)
    with pytest.raises(ValueError, match="got another random_seed"):
        sample_many(data, model, out=out)
    with pytest.raises(ValueError, match="of the same data, got other data for 'one'"):
        sample_many({"one": data_sets({"two": 2})["two"]}, model, out=out, random_seed=None)
    with pm.Model() as other:
        pm.Normal("b", observed=by.Data("price", [0.0]))
        pm.Normal("c")
    with pytest.raises(ValueError, match=r"got another model\."):
        sample_many({"one": {"price": [1.0]}}, other, out=out, random_seed=None)


def test_an_error_of_an_iterable_says_where(model: pm.Model, tmp_path: Path) -> None:
    data = list(data_sets({"one": 3, "two": 4, "three": 2}).values())

    def broken() -> Iterator[Any]:
        yield from data[:2]
        raise OSError("no such file")

    out = tmp_path / "many.zarr"
    with pytest.raises(OSError, match="no such file") as raised:
        sample_many(broken(), model, out=out)
    assert "instead of item 2." in raised.value.__notes__[0]
    assert sample_many(data, model, out=out).posterior.sizes["dataset"] == 3


def test_a_folder_is_of_the_labels_of_its_data(tmp_path: Path) -> None:
    model, out = labelled(["m", "n"]), tmp_path / "many.zarr"
    few: dict[str, Any] = {"out": out, "draws": 2, "tune": 2, "chains": 1}
    sample_many({"a": series("n", "m")}, model, **few)
    assert sample_many({"a": series("n", "m")}, model, **few).posterior.sizes["dataset"] == 1
    with pytest.raises(ValueError, match="results of the same data, got other data for 'a'"):
        sample_many({"a": series("p", "q")}, model, **few)
