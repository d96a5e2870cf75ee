"""Fits written to files and read again."""

from pathlib import Path

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.inference.guides.mean_field import MeanField

DATA = np.random.default_rng(0).normal(2.0, 1.0, size=300)


def model_of(scale: float = 1.0) -> pm.Model:
    with pm.Model() as model:
        data = by.Data("data", DATA)
        mu = pm.Normal("mu", 0, 10)
        pm.HalfNormal("unused")
        pm.Normal("y", mu, scale, observed=data)
    return model


@pytest.mark.parametrize("method", ["auto", "advi", "fullrank_advi", "lowrank_advi"])
def test_a_fit_comes_back_whole(tmp_path: Path, method: str) -> None:
    n = "auto" if method == "auto" else 300
    fit = by.fit(n, method, model=model_of(), random_seed=1, progressbar=False)
    fit.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=model_of())
    assert again.mean.equals(fit.mean)
    assert again.std.equals(fit.std)
    np.testing.assert_array_equal(again.elbo, fit.elbo)
    assert (again.reason, again.correction) == (fit.reason, fit.correction)
    draws, before = (one.sample(20, random_seed=1).posterior for one in (again, fit))
    assert draws.equals(before)
    assert again.khat(200, random_seed=1) == pytest.approx(fit.khat(200, random_seed=1))


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    fit = by.fit(10, model=model_of(), progressbar=False)
    fit.save(path)
    with pytest.raises(ValueError, match=r"`model` must be the one that was fitted.*\nHint"):
        by.load(path, model=model_of(scale=2.0))
    with pytest.raises(FileNotFoundError, match=r"got '.*elsewhere', which is none.\nHint"):
        by.load(tmp_path / "elsewhere", model=model_of())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"which cannot be read .*\nHint: it was written"):
        by.load(path, model=model_of())
    by.fit(10, model=model_of(), progressbar=False, checkpoint=tmp_path / "kept")
    with pytest.raises(ValueError, match=r"got '.*kept', a checkpoint.\nHint: go on"):
        by.load(tmp_path / "kept", model=model_of())


def test_a_guide_of_ones_own_is_not_written(tmp_path: Path) -> None:
    class Own(MeanField):
        pass

    fit = by.fit(10, Own(), model=model_of(), progressbar=False, correction=None)
    with pytest.raises(TypeError, match=r"`save` must be of a guide of bayou's own, got .*\nHint"):
        fit.save(tmp_path / "fit")
