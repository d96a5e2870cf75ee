"""`bayou fit`, `bayou sample` and `bayou describe`: their results, JSON, exit codes and errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayou as by
from bayou.cli.model_commands import summary
from tests.cli.commands import done, refused, run, write_model, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sales")
    write_model(folder)
    write_rows(folder)
    return folder


def least_squares(folder: Path) -> np.ndarray:
    frame = pd.read_parquet(folder / "rows.parquet")
    design = np.column_stack([frame["shop"] == "a", frame["shop"] == "b", frame["x"]])
    return np.linalg.lstsq(design.astype(float), frame["y"].to_numpy())[0]


def test_a_fit_is_the_posterior_and_is_saved(folder: Path) -> None:
    out = folder / "sales.fit"
    result = run("fit", folder / "sales.py", folder / "rows.parquet", "--out", out, "--seed", 1)
    assert result.exit_code == 0
    assert "verdict: good" in result.stdout
    assert f"result: {out}" in result.stdout.replace("\n", "")
    assert "a line of the model file" in result.stderr
    assert "a line of the model file" not in result.stdout
    report = json.loads(
        done("fit", folder / "sales.py", folder / "rows.parquet", "--json", "--seed", 1)
    )
    assert report["verdict"]["word"] == "good"
    means = [report["posterior"][name]["mean"] for name in ("level[a]", "level[b]", "slope")]
    np.testing.assert_allclose(means, least_squares(folder), atol=0.03)
    assert "already" in refused("fit", folder / "sales.py", folder / "rows.parquet", "--out", out)


def test_options_reach_the_function(folder: Path) -> None:
    report = json.loads(
        done(
            *("fit", folder / "sales.py", folder / "rows.parquet", "--json", "--seed", 1),
            *("--option", "spread=0.0001"),
        )
    )
    assert abs(report["posterior"]["slope"]["mean"]) < 0.01


@pytest.mark.slow
def test_a_fit_that_did_not_converge_ends_with_3(folder: Path) -> None:
    result = run(
        *("fit", folder / "sales.py", folder / "rows.parquet", "--method", "dadvi"),
        *("--batch-size", 20),
    )
    assert result.exit_code == 2
    assert "`batch_size` must be left out" in result.stderr
    wrong = folder / "funnel.py"
    wrong.write_text(
        "import bayou as by, pymc as pm\n"
        "def model(data):\n"
        "    with pm.Model() as model:\n"
        "        y = by.Data('y', data, columns='y', dims='row')\n"
        "        depth = pm.Normal('depth', 0, 3)\n"
        "        pm.Laplace('many', 0, pm.math.exp(depth / 2), shape=9)\n"
        "        pm.Normal('seen', 0, 100, observed=y)\n"
        "    return model\n",
        encoding="utf-8",
    )
    result = run("fit", wrong, folder / "rows.parquet", "--seed", 1)
    assert result.exit_code == 3, result.output
    assert "Warning: The fit is wrong" in result.stderr
    assert "verdict: wrong" in result.stdout


@pytest.mark.slow
def test_samples_are_written_and_doubts_end_with_3(folder: Path) -> None:
    out = folder / "chains.zarr"
    arguments = ("sample", folder / "sales.py", folder / "rows.parquet", "--seed", 1)
    report = json.loads(done(*arguments, "--out", out, "--json", "--draws", 400))
    means = [report["posterior"][name]["mean"] for name in ("level[a]", "level[b]", "slope")]
    np.testing.assert_allclose(means, least_squares(folder), atol=0.03)
    assert (report["draws"], report["chains"]) == (400, 4)
    tree = xr.open_datatree(out, engine="zarr", chunks=None)
    assert set(tree.posterior.data_vars) == {"level", "slope"}
    result = run(*arguments, "--draws", 100, "--tune", 0)
    assert result.exit_code == 3, result.output
    assert "Warning: The draws are doubtful" in result.stderr
    assert "is there already" in refused(*arguments, "--out", out)
    assert "must end in .zarr" in refused(*arguments, "--out", folder / "chains.nc")


def test_ctrl_c_keeps_what_is_done_and_ends_with_130(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def stop(steps: int, _: object) -> None:
        if steps >= 3:
            raise KeyboardInterrupt

    def stopped_fit(**options: Any) -> by.Fit:
        fits.append(fit(callback=stop, **options))
        return fits[0]

    fits: list[by.Fit] = []
    fit = by.fit
    out = folder / "stopped.fit"
    arguments = ("fit", folder / "sales.py", folder / "rows.parquet", "--seed", 1)
    monkeypatch.setattr(by, "fit", stopped_fit)
    result = run(*arguments, "--json", "--out", out)
    assert result.exit_code == 130, result.output
    report = json.loads(result.stdout)
    assert report["converged"] is False
    assert report["reason"].startswith("the keyboard stopped it after 3 iterations")
    assert set(report["posterior"]) == {"level[a]", "level[b]", "slope"}
    out.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(by, "fit", lambda **_: fits[0])
        patch.setattr("bayou.cli.model_commands.summary", interrupt)
        stderr = refused(*arguments, "--out", out, code=130)
    assert stderr.endswith(f"Interrupted, after the result was written: {out}\n")
    assert out.is_file()
    monkeypatch.setattr(by, "fit", interrupt)
    assert refused(*arguments, code=130).endswith("Interrupted.\n")


def test_chains_that_ctrl_c_stopped_end_with_130(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = xr.Dataset({"slope": (("chain", "draw"), np.ones((4, 9)))})
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 9), bool))})
    tree = xr.DataTree.from_dict({"posterior": draws, "sample_stats": stats})
    monkeypatch.setattr(by, "sample", lambda *_, **__: tree)
    monkeypatch.setattr("bayou.cli.result_file.fitted_names", lambda _: (["slope"], 1))
    arguments = ("sample", folder / "sales.py", folder / "rows.parquet", "--json")
    assert json.loads(done(*arguments, "--draws", 9))["draws"] == 9
    assert run(*arguments, "--draws", 10).exit_code == 130


def test_describe_prints_containers_and_their_variables(folder: Path) -> None:
    shown = done("describe", folder / "sales.py", folder / "rows.parquet")
    assert "row 200" in shown
    assert "sales  observed  <- level, shop, slope, x" in shown
    assert "see --json" in shown
    report = json.loads(done("describe", folder / "sales.py", folder / "rows.parquet", "--json"))
    assert [one["name"] for one in report["containers"]] == ["x", "y", "shop"]
    assert set(report["variables"][-1]["parents"]) == {"level", "shop", "slope", "x"}


def test_large_variables_are_named_and_left_out() -> None:
    posterior = xr.Dataset(
        {
            "small": (("chain", "draw"), np.ones((1, 9))),
            "large": (("chain", "draw", "row"), np.ones((1, 9, 2000))),
        }
    )
    table, hidden = summary(posterior, ["small", "large"], "stats")
    assert list(table.index) == ["small"]
    assert hidden == ["large (2,000 elements)"]


@pytest.mark.slow
def test_the_program_keeps_progress_apart(folder: Path) -> None:
    command = [sys.executable, "-m", "bayou", "fit"]
    files = [str(folder / "sales.py"), str(folder / "rows.parquet")]
    result = subprocess.run(
        [*command, *files, "--json", "--seed", "1"], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)["converged"] is True
    assert "ELBO" in result.stderr


def test_what_a_fit_saved_is_read_in_python(folder: Path) -> None:
    from bayou.cli.recipe import Recipe, RowFiles

    out = folder / "again.fit"
    done("fit", folder / "sales.py", folder / "rows.parquet", "--out", out, "--seed", 1)
    model = Recipe(str(folder / "sales.py"), RowFiles(str(folder / "rows.parquet"))).build()
    fit = by.load(out, model=model)
    np.testing.assert_allclose(float(fit.mean["slope"]), least_squares(folder)[2], atol=0.01)
