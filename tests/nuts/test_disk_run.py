"""Draws on disk are of the posterior, whole after a kill, and go on where they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.errors import OtherDataError
from bayou.nuts import disk_run

# A short run may have a divergence.
pytestmark = pytest.mark.filterwarnings("ignore:The draws are doubtful")

QUIET: Any = {"progressbar": False, "random_seed": 1}


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model(coords={"part": ["a", "b"]}) as model:
        y = by.Data("y", np.array([1.0, 2.0, 3.0, 6.0]), dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.HalfNormal("scale", 100, dims="part")
        pm.Deterministic("positive", mu > 0)
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    return model


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_run, "LEAST_DRAWS", 300)
    monkeypatch.setattr(disk_run, "SEGMENT_BYTES", 1)


def check_posterior(tree: xr.DataTree) -> None:
    mean, sd = 12 / 4.01, 4.01**-0.5
    error = 4 * sd / (tree.posterior["mu"].size / 4) ** 0.5
    assert float(tree.posterior["mu"].mean()) == pytest.approx(mean, abs=error)
    assert float(tree.posterior["mu"].std()) == pytest.approx(sd, rel=0.1)
    scale = tree.posterior["scale"].mean(("chain", "draw"))
    np.testing.assert_allclose(scale, 100 * (2 / np.pi) ** 0.5, rtol=0.12)


@pytest.mark.slow
@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("init", [None, "auto"])
def test_segments_are_one_run(model: pm.Model, tmp_path: Path, init: Any) -> None:
    paths = [tmp_path / name for name in ("whole.zarr", "parts.zarr")]
    options: Any = {"model": model, "init": init, "chains": 2, **QUIET}
    whole = by.sample(900, out=paths[0], **options)
    check_posterior(whole)
    assert whole.posterior.sizes == {"chain": 2, "draw": 900, "part": 2}
    assert whole.posterior["positive"].dtype == bool
    assert whole.posterior["part"].values.tolist() == ["a", "b"]
    np.testing.assert_array_equal(whole.observed_data["observed"], [1, 2, 3, 6])
    assert by.verify(whole, model).matches
    # Stopped at the ends of segments, and gone on: the same bits.
    for draws in (300, 600, 900):
        parts = by.sample(draws, out=paths[1], resume=True, **options)
        assert parts.posterior.sizes["draw"] == draws
    xr.testing.assert_equal(parts.posterior.to_dataset(), whole.posterior.to_dataset())
    # Chains do not start anew.
    jumps = np.abs(np.diff(np.log(whole.posterior["scale"].values), axis=1))
    assert jumps[:, 299].max() < 6


@pytest.mark.slow
def test_ctrl_c_before_a_draw_leaves_a_run_to_begin_again(
    model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: Any = {"model": model, "init": None, "chains": 2, "out": tmp_path / "d.zarr", **QUIET}
    with monkeypatch.context() as patch:
        patch.setattr(disk_run, "follow_chains", lambda *_: False)
        with pytest.raises(KeyboardInterrupt, match="with resume=True begins them again"):
            by.sample(400, **options)
    tree = by.sample(400, resume=True, **options)
    assert tree.posterior["mu"].shape == (2, 400)
    check_posterior(tree)


@pytest.mark.slow
def test_kept_variables_and_wrong_calls(model: pm.Model, tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    options: Any = {"model": model, "init": None, "tune": 50, "chains": 2, "out": path}
    tree = by.sample(20, var_names=["mu"], **options, **QUIET)
    assert list(tree.posterior.data_vars) == ["mu"]
    options |= {"progressbar": False, "var_names": ["mu"], "resume": True}
    again = by.sample(20, **options)
    xr.testing.assert_equal(again.posterior.to_dataset(), tree.posterior.to_dataset())
    with pytest.raises(ValueError, match=r"another random_seed: 1 then, 2 now"):
        by.sample(20, random_seed=2, **options)
    by.set_data({"y": [1.0, 2.0]}, model=model)
    try:
        with pytest.raises(OtherDataError, match=r"(?s)this model and its data, .*'y'"):
            by.sample(30, **options)
    finally:
        by.set_data({"y": [1.0, 2.0, 3.0, 6.0]}, model=model)


WRONG = [
    ({"resume": True}, r"`resume` must come with `out`, got resume=True and out=None\.\nHint"),
    ({"resume": 1}, "`resume` must be True or False, got 1"),
    (
        {"out": "x.zarr", "until": "good"},
        r"`until` must be left out with `out`, got 'good'",
    ),
    ({"out": "x.zarr", "log_likelihood": True}, "`log_likelihood` must be left out with `out`"),
    ({"out": "x.zarr", "keep_warmup": True}, "`keep_warmup` must be left out with `out`, got True"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options(model: pm.Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by.sample(model=model, **QUIET, **options)


SCRIPT = """
import sys, pymc as pm, bayou as by
from bayou.nuts import chains
chains.TAKE_SECONDS = 0.2
with pm.Model():
    mu = pm.Normal("mu", 3, 1)
    options = {"init": None, "tune": 100, "chains": 2, "random_seed": 1, "progressbar": False}
    by.sample(10**7, out=sys.argv[1], **options)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_its_draws_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)])
    try:
        for _ in range(600):
            time.sleep(0.1)
            if (path / "posterior" / "mu" / "c").exists():
                break
        time.sleep(0.5)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    left = xr.open_datatree(path, engine="zarr").load()
    number = left.posterior.sizes["draw"]
    assert 0 < number < 10**7
    assert float(left.posterior["mu"].mean()) == pytest.approx(3, abs=0.2)
    with pm.Model():
        pm.Normal("mu", 3, 1)
        tree = by.sample(
            number + 500, init=None, tune=100, chains=2, out=path, resume=True, progressbar=False
        )
    assert tree.posterior.sizes["draw"] == number + 500
    np.testing.assert_array_equal(tree.posterior["mu"][:, :number], left.posterior["mu"])
    assert float(tree.posterior["mu"][:, number:].mean()) == pytest.approx(3, abs=0.25)
