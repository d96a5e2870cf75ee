"""`bayou predict` and `bayou verify`: results of commands and of Python, and their errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.cli.commands import MODEL, done, refused, run, write_model, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, its data, two results of it and new rows."""
    folder = tmp_path_factory.mktemp("results")
    model, rows = write_model(folder), write_rows(folder)
    for name in ("sales.fit", "sales.zarr"):
        done("fit", model, rows, "--out", folder / name, "--seed", 1)
    pd.DataFrame({"shop": ["b", "a"], "x": [0.0, 1.0]}).to_csv(folder / "new.csv", index=False)
    return folder


@pytest.mark.parametrize("result", ["sales.fit", "sales.zarr"])
def test_new_rows_are_predicted_from_either_form(folder: Path, result: str) -> None:
    out = folder / f"{result}.parquet"
    shown = done("predict", folder / result, folder / "new.csv", "--out", out, "--seed", 1)
    assert shown.startswith("predictions of 2 rows: ")
    np.testing.assert_allclose(pd.read_parquet(out)["sales_mean"], [3, 3], atol=0.35)
    np.testing.assert_allclose(pd.read_parquet(out)["sales_sd"], [1, 1], atol=0.1)
    assert "is there already" in refused(
        "predict", folder / result, folder / "new.csv", "--out", out
    )


def test_all_draws_of_chosen_variables(folder: Path) -> None:
    out = folder / "draws.zarr"
    arguments = ("predict", folder / "sales.fit", folder / "new.csv", "--out", out, "--json")
    report = json.loads(done(*arguments, "--draws", 50, "--var-names", "sales"))
    assert report["rows"] == 2
    tree = xr.open_datatree(out, engine="zarr", chunks=None, consolidated=False)
    assert tree["predictions"]["sales"].shape == (1, 50, 2)


def test_draws_say_how_they_were_made(folder: Path) -> None:
    posterior = xr.open_datatree(folder / "sales.zarr", engine="zarr", chunks=None)["posterior"]
    assert posterior.sizes["draw"] == 1000
    assert posterior.attrs["verdict"] == "good"
    record = json.loads(posterior.attrs["bayou_provenance"])["recipe"]
    assert record["model"] == str(folder / "sales.py")
    assert record["rows"]["data"] == str(folder / "rows.parquet")
    assert sorted(path.name for path in folder.glob("*.partial")) == []


def test_a_result_is_verified(folder: Path, tmp_path: Path) -> None:
    for result in ("sales.fit", "sales.zarr"):
        assert "matches this model and its data" in done("verify", folder / result)
    changed = write_rows(tmp_path, 100)
    result = run("verify", folder / "sales.fit", "--data", changed, "--json")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert not report["matches"]
    assert "has 100 rows; the result was computed with 200 rows" in report["differences"][0]
    other = run("verify", folder / "sales.zarr", "--option", "spread=1")
    assert other.exit_code == 3
    assert "variable 'slope' is defined differently" in other.stdout


def test_predictions_of_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "new.csv", "--out", tmp_path / "p.parquet", "--option", "spread=1")
    assert "of a model in which other definitions had 'level', 'slope'" in refused(
        "predict", folder / "sales.zarr", *arguments
    )
    assert "`model` must be the one that was fitted" in refused(
        "predict", folder / "sales.fit", *arguments
    )
    assert list(tmp_path.iterdir()) == []


def test_files_that_have_moved_are_given(folder: Path, tmp_path: Path) -> None:
    result = tmp_path / "moved.fit"
    shutil.copy(folder / "sales.fit", result)
    model = write_model(tmp_path, MODEL.replace("def model", "def later"))
    arguments = ("predict", result, folder / "new.csv", "--out", tmp_path / "p.parquet")
    kept = (folder / "sales.py").rename(folder / "elsewhere.py")
    try:
        assert "sales.py', which is gone.\nHint: --model" in refused(*arguments)
    finally:
        kept.rename(folder / "sales.py")
    assert "no 'model'" in refused(*arguments, "--model", model)
    done(*arguments, "--model", model, "--function", "later", "--data", folder / "rows.parquet")


def test_what_is_no_result_is_refused(folder: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "p.parquet")
    assert "where there is nothing" in refused("verify", folder / "none.fit")
    assert "a folder without draws of a posterior" in refused("verify", tmp_path)
    assert "`RESULT` must be a file that bayou wrote" in refused("verify", folder / "rows.parquet")
    assert "must end in .parquet or .zarr" in refused(
        "predict", folder / "sales.fit", folder / "new.csv", "--out", tmp_path / "p.csv"
    )
    assert "in a folder that exists" in refused(
        "predict", folder / "sales.fit", folder / "new.csv", "--out", tmp_path / "no" / "p.parquet"
    )
    few = tmp_path / "few.csv"
    few.write_text("shop\na\n", encoding="utf-8")
    assert "column" in refused("predict", folder / "sales.fit", few, *out)
    few.write_text("shop,x\nz,1.0\n", encoding="utf-8")
    assert "'z'" in refused("predict", folder / "sales.fit", few, *out)


def test_results_of_python_need_their_files(tmp_path: Path) -> None:
    import pymc as pm

    import bayou as by

    with pm.Model():
        pm.Normal("seen", pm.Normal("mu"), 1, observed=[1.0, 2.0])
        by.fit(10, progressbar=False).save(tmp_path / "python.fit")
    assert "`--model` and `--data` must be given" in refused("verify", tmp_path / "python.fit")
