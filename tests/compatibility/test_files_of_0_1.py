"""What bayou 0.1 wrote to a disk is read, and gone on with, as it was then."""

import json
import os
import pickle
import platform
import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from tests.compatibility import models

FILES = Path(__file__).parent / "files"
EXPECTED: dict[str, Any] = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))
# Of what is computed anew; other processors may round otherwise.
CLOSE = 1e-6

pytestmark = [
    # Draws and steps are few, to be quick.
    pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::pymc.exceptions.ImputationWarning"),
]


def has_versions(*names: str) -> bool:
    """Tell whether packages, and Python, are of the versions that the files were written with."""
    now = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version(name) for name in names},
    }
    return all(EXPECTED["versions"][name] == found for name, found in now.items())


# PyMC and PyTensor may write the same model otherwise in other versions, and pickle it otherwise.
of_these_models = pytest.mark.skipif(
    not has_versions("pymc", "pytensor"), reason="the files are of other versions of PyMC"
)
of_these_pickles = pytest.mark.skipif(
    not has_versions("numpy", "pymc", "pytensor", "zarr") or not Path(models.HERE).exists(),
    reason="the pickles are of other versions, or name files as only Linux does",
)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the files, in which the test runs."""
    copied = tmp_path / "files"
    shutil.copytree(FILES, copied)
    for path in copied.glob("*.*"):
        os.utime(path, ns=(models.MODIFIED, models.MODIFIED))
    monkeypatch.chdir(copied)
    return copied


@cache
def made(make: Any) -> pm.Model:
    """Return a model, compiled once for all tests."""
    model: pm.Model = make()
    return model


def assert_close(found: Any, expected: dict[str, Any]) -> None:
    """Compare a dataset with what is expected of it."""
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=CLOSE, atol=1e-9)


@of_these_models
@pytest.mark.parametrize("name", models.SAVED_FITS)
def test_saved_fits_load(name: str) -> None:
    make, _ = models.SAVED_FITS[name]
    expected = EXPECTED["fits"][name]
    fit = by.load(FILES / "fits" / name, model=made(make))
    assert repr(fit) == expected["repr"]
    assert (fit.reason, fit.correction) == (expected["reason"], expected["correction"])
    assert fit.converged == expected["converged"]
    assert [len(fit.elbo), fit.elbo[-1]] == expected["elbo"]
    assert_close(fit.mean, expected["mean"])
    assert_close(fit.std, expected["std"])
    draws = fit.sample(50, random_seed=2).posterior.dataset.mean(("chain", "draw"))
    assert_close(draws, expected["draws"])
    assert by.verify(fit, made(make))
    if expected["khat"] is not None:
        np.testing.assert_allclose(fit.khat(100, random_seed=2), expected["khat"], rtol=CLOSE)


@of_these_models
@pytest.mark.parametrize("name", models.STOPPED_FITS)
def test_stopped_fits_go_on(name: str, files: Path) -> None:
    make, options = models.STOPPED_FITS[name]
    calls: list[int] = []
    fit = by.fit(
        model=made(make),
        checkpoint=f"checkpoints/{name}",
        resume=True,
        callback=lambda num_steps, losses: calls.append(num_steps),
        **(models.FIT | options),
    )
    expected = EXPECTED["checkpoints"][name]
    assert 0 < calls[-1] < models.STEPS
    assert_close(fit.mean, expected["mean"])
    assert_close(fit.std, expected["std"])
    np.testing.assert_allclose(fit.elbo[::50], expected["elbo"], rtol=CLOSE)


@of_these_models
@pytest.mark.parametrize(
    ("call", "options"), [(by.sample_many, models.MANY), (by.fit_many, models.FIT_MANY)]
)
def test_results_of_many_data_sets_go_on(call: Any, options: Any, files: Path) -> None:
    model, path = made(models.mean_model), f"many/{call.__name__}"
    before = xr.open_datatree(f"{path}_stopped.zarr", engine="zarr", consolidated=False).load()
    whole = xr.open_datatree(f"{path}.zarr", engine="zarr", consolidated=False).load()
    # Nothing is computed for what is complete.
    read = call(models.data_sets(), model=model, out=f"{path}.zarr", **options)
    resumed = call(models.data_sets(), model=model, out=f"{path}_stopped.zarr", **options)
    kept = before["diagnostics"]["dataset"].values
    assert 0 < len(kept) < 5
    for group in whole.children:
        found, expected = in_order(resumed[group]), in_order(whole[group])
        xr.testing.assert_equal(in_order(read[group]), expected)
        # The table has more columns now.
        found = found[[*expected.data_vars]]
        xr.testing.assert_allclose(found, expected, rtol=CLOSE)
        assert found.attrs == expected.attrs
        xr.testing.assert_equal(found.sel(dataset=kept), in_order(before[group]))


def in_order(group: xr.DataTree) -> xr.Dataset:
    """Return results by the keys of their data sets, without the times that they took."""
    dataset = group.to_dataset()
    return dataset.sortby("dataset").drop_vars("seconds", errors="ignore")


@of_these_models
def test_a_calibration_goes_on(files: Path) -> None:
    model = made(models.mean_model)
    found = by.calibrate(model, 22, out="many/calibrate.zarr", **models.CALIBRATE)
    assert_close(found.pit, EXPECTED["calibrate"])


@of_these_models
@pytest.mark.parametrize("ending", ["zarr", "parquet"])
def test_predictions_go_on(ending: str, files: Path) -> None:
    path = Path(f"predictions/stopped.{ending}")
    rows, model = models.Rows(1024), made(models.late_model)
    found = by.predict(models.posterior(), rows, model=model, out=path, **models.PREDICT)
    assert path.exists()
    assert not path.with_name(f"{path.name}.partial").exists()
    if isinstance(found, by.Source):
        expected = models.all_rows(by.scan("predictions/all.parquet"))
        for name, values in models.all_rows(found).items():
            np.testing.assert_allclose(values, expected[name], rtol=CLOSE)
    else:
        whole = xr.open_datatree("predictions/all.zarr", engine="zarr", consolidated=False)
        xr.testing.assert_identical(found.predictions.load().dataset, whole.predictions.dataset)


def test_shuffles_open_and_go_on(files: Path) -> None:
    rows = models.all_rows(by.scan("shuffled"))
    assert {name: values[:20].tolist() for name, values in rows.items()} == EXPECTED["shuffle"]
    by.shuffle(models.Rows(200), "shuffled_stopped", **models.SHUFFLE)
    names = {path.name for path in Path("shuffled").iterdir()}
    assert {path.name for path in Path("shuffled_stopped").iterdir()} == names
    for name in names:
        assert Path("shuffled_stopped", name).read_bytes() == Path("shuffled", name).read_bytes()


@of_these_models
def test_draws_say_what_they_are_of() -> None:
    tree = xr.open_datatree(FILES / "posterior.zarr", engine="zarr", consolidated=False)
    model = models.cost_model()
    assert by.verify(tree, model)
    by.set_data({"cost": models.table()["cost"] + 1}, model=model)
    assert by.verify(tree, model).differences == ("container 'cost' has different values",)


@of_these_pickles
@pytest.mark.parametrize("name", models.PICKLED_MODELS)
def test_pickled_models_load(name: str, files: Path) -> None:
    model = pickle.loads(Path(f"models/{name}.pickle").read_bytes())
    expected = EXPECTED["models"][name]
    np.testing.assert_allclose(models.density(model), expected["density"], rtol=CLOSE)
    description = by.describe(model)
    found = {container.name: container.fingerprint for container in description.containers}
    assert found == expected["fingerprints"]
    assert str(description) == str(by.describe(models.PICKLED_MODELS[name]()))


@of_these_pickles
def test_pickled_models_take_new_data(files: Path) -> None:
    model = pickle.loads(Path("models/columns.pickle").read_bytes())
    assert by.verify(by.load("fits/mean_field", model=model), model)
    by.set_data(models.table(7), model=model)
    assert model["x"].get_value().tolist() == np.stack(
        [models.table(7)[name] for name in ("weight", "distance")], axis=1
    ).tolist()  # fmt: skip
    window = pickle.loads(Path("models/window.pickle").read_bytes())
    window["cost"].update_shared()
    assert window["cost"].get_value().tolist() == models.table()["cost"][10:20].tolist()
    imputed = pickle.loads(Path("models/imputed.pickle").read_bytes())
    with pytest.raises(ValueError, match="must miss the same 2 of 8 values"):
        by.set_data({"cost": np.ones(8)}, model=imputed)


@of_these_pickles
@pytest.mark.parametrize("name", EXPECTED["sources"])
def test_pickled_sources_read_their_rows(name: str, files: Path) -> None:
    source = pickle.loads(Path(f"sources/{name}.pickle").read_bytes())
    rows = models.all_rows(source)
    assert {field: values.tolist() for field, values in rows.items()} == EXPECTED["sources"][name]


@of_these_pickles
@pytest.mark.parametrize("name", sorted(path.stem for path in (FILES / "results").iterdir()))
def test_pickled_results_load(name: str) -> None:
    found = pickle.loads((FILES / "results" / f"{name}.pickle").read_bytes())
    if isinstance(found, by.Verification):
        # The line above the differences has other words today.
        lines = EXPECTED["results"][name].splitlines()[1:]
        assert found.differences == tuple(line.removeprefix("- ") for line in lines)
    elif name in EXPECTED["results"]:
        assert repr(found) == EXPECTED["results"][name]
    if name == "adapter":
        assert list(found) == models.data_sets()[0]["cost"].tolist()


@pytest.mark.parametrize("name", models.ORDERS)
def test_a_seed_gives_the_same_rows(name: str) -> None:
    assert models.batches_of(models.ORDERS[name]) == EXPECTED["orders"][name]
