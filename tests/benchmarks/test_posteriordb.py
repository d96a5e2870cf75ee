"""benchmarks/posteriordb.py: it reads both kinds of folders, and measures errors that are known."""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

MODELS = """
import bayou as by
import pymc as pm

def normal(data):
    with pm.Model() as model:
        y = by.Data("y_data", data["y"], dims="row")
        mu = pm.Normal("mu", 0, 10, shape=1)
        pm.Normal("y", mu[0], 1, observed=y, dims="row")
    return model

MODELS = {"a-normal": normal, "unknown": normal}
"""
Y = [1.0, 2.0, 4.0]
PRECISION = 3 + 1 / 100
MEAN, SD = sum(Y) / PRECISION, PRECISION**-0.5


@pytest.fixture
def benchmark(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("posteriordb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the posterior of a mean as one file, with its models."""
    (tmp_path / "models.py").write_text(MODELS)
    moments = {"mean": MEAN, "sd": SD, "q": [MEAN - 1.96 * SD, MEAN, MEAN + 1.96 * SD]}
    stored = {
        "data": {"three": {"y": Y}},
        "data_of": {"a-normal": "three"},
        "reference": {"a-normal": {"mu[1]": moments}},
    }
    (tmp_path / "posteriors.json.gz").write_bytes(gzip.compress(json.dumps(stored).encode()))
    return tmp_path


def write_zip(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file.with_suffix(".json.zip"), "w") as archive:
        archive.writestr(f"{file.name}.json", json.dumps(content))


def test_a_clone_is_read(benchmark: ModuleType, tmp_path: Path) -> None:
    database = tmp_path / "posterior_database"
    (database / "posteriors").mkdir(parents=True)
    known = {"data_name": "three", "reference_posterior_name": "draws-of-it"}
    for name, posterior in {"known": known, "other": {"data_name": "three"}}.items():
        (database / "posteriors" / f"{name}.json").write_text(json.dumps(posterior))
    write_zip(database / "data/data/three", {"y": Y})
    chains = [{"mu[1]": [0.0, 1.0, 2.0]}, {"mu[1]": [3.0, 4.0, 5.0]}]
    write_zip(database / "reference_posteriors/draws/draws/draws-of-it", chains)
    [(name, read)] = benchmark.read_references(tmp_path).items()
    assert name == "known"
    assert read().data == {"y": Y}
    expected = [2.5, np.arange(6).std(), *np.quantile(np.arange(6), [0.025, 0.5, 0.975])]
    np.testing.assert_allclose(read().moments["mu[1]"], expected)


def test_errors_are_in_standard_deviations(benchmark: ModuleType) -> None:
    draws = np.random.default_rng(1).normal(size=(1, 100_000, 2)) * [1.0, 2.0] + [0.0, 3.0]
    tree = SimpleNamespace(posterior=xr.Dataset({"b": (("chain", "draw", "side"), draws)}))
    quantiles = np.array([-1.96, 0.0, 1.96])
    truth = {"b[1]": np.array([0.0, 1.0, *quantiles]), "b[2]": np.array([1.0, 1.0, *quantiles])}
    errors = benchmark.errors_of(tree, truth)
    np.testing.assert_allclose(errors.means, [0, 2], atol=0.02)
    np.testing.assert_allclose(errors.sds, [0, 1], atol=0.02)
    np.testing.assert_allclose(errors.quantiles, [0, 3 + 1.96], atol=0.06)
    assert errors.wrong


@pytest.mark.parametrize("options", [[], ["--posterior"]])
def test_a_right_fit_is_told(
    benchmark: ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    file = folder / "figures.json"
    arguments = [str(folder), "normal", "--seeds", "1", "--json", str(file), *options]
    monkeypatch.setattr(sys, "argv", ["posteriordb.py", *arguments])
    assert benchmark.main() == 0
    _, line, summary = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == ["a-normal", "1"]
    assert float(line.split()[3]) < 0.05
    assert " right " in line
    assert " good (" in line
    assert summary.startswith("1 fits, 0 wrong, 0 in silence; 0 right but warned of (0%); 100%")
    figure = json.loads(file.read_text())["figures"][-1]
    assert figure["met"]
    assert figure["measured"].startswith("0; 0; 0; 100%; ")


def test_what_is_wrong_in_silence_fails(benchmark: ModuleType) -> None:
    far, near = (
        benchmark.Errors(np.array([mean]), np.zeros(1), np.zeros(1)) for mean in (0.3, 0.0)
    )
    warned = benchmark.Run(far, True, "wrong", 1.0, 1.0)
    silent = benchmark.Run(far, False, "good", 1.0, 1.0)
    right = benchmark.Run(near, False, "good", 1.0, 1.0)
    assert benchmark.summarize([warned, right], "by.fit") == 0
    assert benchmark.summarize([warned, silent], "by.fit") == 1
