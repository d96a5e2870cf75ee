"""by.sample_many(out=): what is there, failed or is lacking when a folder is gone on with."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.errors import WorkerDiedError
from bayou.many import sample_many as sample_many_module
from bayou.many.results.outcome import Failure
from tests.shops import data_sets, sample_many, shop_model

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


def test_where_all_have_failed_the_corrected_call_goes_on(model: pm.Model, tmp_path: Path) -> None:
    out = tmp_path / "many.zarr"
    with pytest.raises(ValueError, match="Each of the 1 data sets failed, 0 with"):
        sample_many([{"price": [1.0]}], model, out=out, draws=20)
    found = sample_many(data_sets({"one": 2}), model, out=out)
    assert found["diagnostics"]["dataset"].values.tolist() == ["one"]


def test_keys_of_another_type_do_not_go_on(model: pm.Model, tmp_path: Path) -> None:
    data, out = data_sets({"one": 2})["one"], tmp_path / "many.zarr"
    sample_many({1: data}, model, out=out)
    for key in ("1", "x"):
        with pytest.raises(
            TypeError, match=f"of the type of those in `out`, such as 1, .* '{key}'"
        ):
            sample_many({key: data}, model, out=out)


def test_missing_files_are_refused(model: pm.Model, tmp_path: Path) -> None:
    data, out = data_sets({f"{number:02}": 1 for number in range(33)}), tmp_path / "many.zarr"
    settings: dict[str, Any] = {"draws": 2, "tune": 2, "chains": 1, "out": out}
    sample_many(data, model, **settings)
    data |= data_sets({"long": 5})
    sample_many(data, model, **settings)
    files = [
        path
        for group in ("posterior", "sample_stats", "diagnostics")
        for path in out.glob(f"{group}/*/c/**/*")
        if path.is_file() and path.parts[len(out.parts) + 1] not in ("row", "term", "chain", "draw")
    ]
    assert len(files) > 30
    for path in files[::7]:
        held = path.read_bytes()
        path.unlink()
        name = path.relative_to(out).as_posix()
        with pytest.raises(ValueError, match=f"without {name}"):
            sample_many(data, model, **settings)
        path.write_bytes(held)
    described = out / "posterior" / "mean" / "zarr.json"
    held = described.read_bytes()
    described.unlink()
    with pytest.raises(ValueError, match=r"without posterior/mean/zarr\.json"):
        sample_many(data, model, **settings)
    described.write_bytes(held)
    assert sample_many(data, model, **settings).posterior.sizes["dataset"] == 34


def test_a_folder_says_which_call_began_it(model: pm.Model, tmp_path: Path) -> None:
    data, out = data_sets({"one": 2}), tmp_path / "many.zarr"
    sample_many(data, model, out=out)
    with pytest.raises(ValueError, match="begun by sample_many in a call of fit_many"):
        by.fit_many(data, model=model, out=out, random_seed=3, progressbar=False)
