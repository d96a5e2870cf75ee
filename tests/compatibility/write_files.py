"""Writes what bayou keeps on a disk, for the test that later code still reads it.

Run once, in the root of the repository, with the code whose files are to be kept:

    PYTENSOR_FLAGS=mode=FAST_COMPILE,linker=py,cxx=,traceback__limit=0 \\
        python -m tests.compatibility.write_files OUT

Without tracebacks, pickled models name no folders of this machine.
"""

import copy
import json
import os
import pickle
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pymc as pm
import pytensor
import xarray as xr

import bayou as by
from tests.compatibility import models

PACKAGES = ("bayou", "jax", "numpy", "pymc", "pytensor", "zarr")


def main(out: Path) -> None:
    """Write all files into a new folder."""
    if pytensor.config.traceback__limit != 0:
        raise SystemExit("Set PYTENSOR_FLAGS as the head of this file says.")
    warnings.simplefilter("ignore")
    out.mkdir(parents=True)
    os.chdir(out)
    models.write_sources(Path())
    set_times()
    expected = {
        "versions": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            **{
                name: version(name)
                for name in ("bayou", "jax", "numpy", "pymc", "pytensor", "zarr")
            },
        },
        "fits": saved_fits(),
        "checkpoints": checkpoints(),
        "orders": {name: models.batches_of(order) for name, order in models.ORDERS.items()},
    }
    many()
    expected["calibrate"] = calibration()
    predictions()
    expected["shuffle"] = shuffles()
    posterior()
    expected["models"] = pickled_models()
    expected["sources"] = pickled_sources()
    expected["results"] = pickled_results()
    Path("expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def set_times() -> None:
    """Give the files of rows the time of change that the test gives them."""
    for path in Path().glob("*.*"):
        os.utime(path, ns=(models.MODIFIED, models.MODIFIED))


def saved_fits() -> dict[str, Any]:
    """Save fits, and return what they say."""
    Path("fits").mkdir()
    made: dict[Any, pm.Model] = {}
    found = {}
    for name, (make, options) in models.SAVED_FITS.items():
        model = made.setdefault(make, make())
        fit = by.fit(model=model, **models.FIT, **options)
        fit.save(f"fits/{name}")
        found[name] = {
            "mean": lists(fit.mean),
            "std": lists(fit.std),
            "draws": {
                variable: np.asarray(values).mean(axis=(0, 1)).tolist()
                for variable, values in fit.sample(50, random_seed=2).posterior.items()
            },
            "elbo": [len(fit.elbo), float(fit.elbo[-1])],
            "khat": fit.khat(100, random_seed=2) if name != "rows" else None,
            "reason": fit.reason,
            "correction": fit.correction,
            "converged": fit.converged,
            "repr": repr(fit),
        }
    return found


def checkpoints() -> dict[str, Any]:
    """Stop fits, and return what they end with where they are not stopped."""
    Path("checkpoints").mkdir()
    found = {}
    for name, (make, options) in models.STOPPED_FITS.items():
        model = make()
        # An order that was used has another fingerprint than a new one.
        whole = by.fit(model=model, **models.FIT, **copy.deepcopy(options))
        by.fit(
            model=model,
            checkpoint=f"checkpoints/{name}",
            checkpoint_seconds=0,
            callback=models.stopping,
            **models.FIT,
            **copy.deepcopy(options),
        )
        found[name] = {
            "mean": lists(whole.mean),
            "std": lists(whole.std),
            "elbo": whole.elbo.tolist()[::50],
        }
    return found


def many() -> None:
    """Sample and fit many data sets into folders, all of them and some of them."""
    Path("many").mkdir()
    for call, options in ((by.sample_many, models.MANY), (by.fit_many, models.FIT_MANY)):
        model, name = models.mean_model(), call.__name__
        call(models.data_sets(), model=model, out=f"many/{name}.zarr", **options)
        try:
            out = f"many/{name}_stopped.zarr"
            call(models.stopped_data_sets(), model=model, out=out, **options)
        except models.Interrupted:
            kept = xr.open_datatree(out, engine="zarr", consolidated=False)
            assert 0 < kept["diagnostics"].sizes["dataset"] < 5, f"{name} kept nothing or all"
            continue
        raise AssertionError(f"{name} was not stopped")


def calibration() -> dict[str, Any]:
    """Calibrate with 20 simulations in a folder, and return what 22 of them say."""
    model = models.mean_model()
    by.calibrate(model, 20, out="many/calibrate.zarr", **models.CALIBRATE)
    found: dict[str, Any] = lists(by.calibrate(model, 22, **models.CALIBRATE).pit)
    return found


def predictions() -> None:
    """Predict onto the disk, to the end and until rows cannot be read."""
    Path("predictions").mkdir()
    for ending in ("zarr", "parquet"):
        model = models.late_model()
        for name, stop_in in (("all", None), ("stopped", 3)):
            out = f"predictions/{name}.{ending}"
            rows = models.Rows(1024, stop_in)
            try:
                by.predict(models.posterior(), rows, model=model, out=out, **models.PREDICT)
            except models.Interrupted:
                continue
            assert stop_in is None, "the prediction was not stopped"


def shuffles() -> dict[str, Any]:
    """Shuffle into stores, to the end and until rows cannot be read."""
    store = by.shuffle(models.Rows(200), "shuffled", **models.SHUFFLE)
    try:
        by.shuffle(models.Rows(200, stop_in=2), "shuffled_stopped", **models.SHUFFLE)
    except models.Interrupted:
        rows = models.all_rows(store)
        return {name: values[:20].tolist() for name, values in rows.items()}
    raise AssertionError("the shuffle was not stopped")


def posterior() -> None:
    """Write draws with what they are of."""
    model = models.cost_model()
    tree = by.sample(20, tune=50, chains=2, model=model, random_seed=1, progressbar=False)
    tree.to_zarr("posterior.zarr", consolidated=False)


def pickled_models() -> dict[str, Any]:
    """Pickle models, and return the densities of what is unpickled."""
    Path("models").mkdir()
    found = {}
    for name, make in models.PICKLED_MODELS.items():
        content = cloudpickle.dumps(make(), protocol=5)
        Path(f"models/{name}.pickle").write_bytes(content)
        model = pickle.loads(content)
        found[name] = {
            "density": models.density(model),
            "fingerprints": {
                container.name: container.fingerprint for container in by.describe(model).containers
            },
        }
    return found


def pickled_sources() -> dict[str, Any]:
    """Pickle sources, and return their rows."""
    Path("sources").mkdir()
    found = {}
    for name, source in models.sources().items():
        Path(f"sources/{name}.pickle").write_bytes(pickle.dumps(source, protocol=5))
        rows = models.all_rows(source)
        found[name] = {field: values.tolist() for field, values in rows.items()}
    return found


def pickled_results() -> dict[str, str]:
    """Pickle what calls return, and objects that they take; return their texts."""
    Path("results").mkdir()
    model = models.mean_model()
    fit = by.fit(model=model, **models.FIT)
    description = by.describe(model)
    results = {
        "description": description,
        "diagram": description.diagram(),
        "verification": by.verify(fit, models.cost_model()),
        "calibration": by.calibrate(model, 22, **models.CALIBRATE),
        "estimate": fit.elbo_estimate(100, random_seed=1),
        "inspection": by.inspect(models.plain_table()),
        "column": by.source(models.plain_table())["cost"],
        "field": by.source(models.table()).fields["kind"],
        "shard": by.Shard(0, 2),
        "ray": by.Ray(num_workers=2),
        "weighted": models.ORDERS["weighted"],
        "stratified": models.ORDERS["stratified"],
        "source_error": by.SourceError("a file is gone"),
        "divergence_error": by.DivergenceError("a loss is not finite"),
        "adapter": by.GeneratorAdapter(iter(models.data_sets()[0]["cost"])),
        "approximation": fit.approximation,
    }
    for name, value in results.items():
        Path(f"results/{name}.pickle").write_bytes(pickle.dumps(value, protocol=5))
    # Others have none that is of their values.
    return {name: text for name, value in results.items() if " at 0x" not in (text := repr(value))}


def lists(dataset: Any) -> dict[str, Any]:
    """Return the values of a dataset as lists."""
    return {name: values.values.tolist() for name, values in dataset.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
