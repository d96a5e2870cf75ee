"""Fits written to files and read again."""

from pathlib import Path

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.fitting.guides.mean_field import MeanField

DATA = np.random.default_rng(0).normal(2.0, 1.0, size=300)


def model_of(scale: float = 1.0) -> pm.Model:
    with pm.Model() as model:
        data = by.Data("data", DATA)
        mu = pm.Normal("mu", 0, 10)
        pm.HalfNormal("unused")
        pm.Normal("y", mu, scale, observed=data)
    return model


@pytest.mark.parametrize(
    "method",
    ["auto", "advi", "fullrank_advi", pytest.param("lowrank_advi", marks=pytest.mark.slow)],
)
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
    # So few steps may end where no correction holds.
    fit = by.fit(10, model=model_of(), progressbar=False, correction=None)
    fit.save(path)
    with pytest.raises(ValueError, match=r"`model` must be the one that was fitted.*\nHint"):
        by.load(path, model=model_of(scale=2.0))
    with pytest.raises(FileNotFoundError, match=r"got '.*elsewhere', which is not a file.\nHint"):
        by.load(tmp_path / "elsewhere", model=model_of())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"which cannot be read .*\nHint: it was written"):
        by.load(path, model=model_of())
    kept = tmp_path / "kept"
    by.fit(10, model=model_of(), progressbar=False, correction=None, checkpoint=kept)
    with pytest.raises(ValueError, match=r"got '.*kept', a checkpoint.\nHint: continue"):
        by.load(kept, model=model_of())


def test_a_guide_of_ones_own_is_not_written(tmp_path: Path) -> None:
    class Own(MeanField):
        pass

    fit = by.fit(10, Own(), model=model_of(), progressbar=False, correction=None)
    with pytest.raises(
        TypeError, match=r"`save` must be of a fit with a guide of bayou, got .*\nHint"
    ):
        fit.save(tmp_path / "fit")


def grouped(labels: tuple[str, ...] | None = ("A", "B", "C")) -> pm.Model:
    with pm.Model(coords={"group": labels or range(3)}) as model:
        group = by.Data("group_of", np.arange(12) % 3)
        effect = pm.Normal("effect", dims="group")
        pm.Normal("y", effect[group], 1.0, observed=by.Data("data", DATA[:12]))
    return model


def test_other_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    by.fit(10, model=grouped(), progressbar=False, correction=None).save(path)
    assert list(by.load(path, model=grouped()).mean["group"].values) == ["A", "B", "C"]
    for labels, got in {
        ("B", "A", "C"): "'B', 'A', 'C'",
        ("A", "B", "X"): "'A', 'B', 'X'",
        tuple("ABCDE"): "'A', 'B', 'C', and 2 more",
        None: "'0', '1', '2'",
    }.items():
        message = rf"The dim 'group' of `model`, of 'effect', must .*fit': {got}\.\nHint: make"
        with pytest.raises(ValueError, match=message):
            by.load(path, model=grouped(labels))


def of_width(width: int) -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", np.ones((12, width)))
        slope = pm.Normal("slope", shape=x.shape[1])
        pm.Normal("y", x @ slope, 1.0, observed=by.Data("data", DATA[:12]))
    return model


def test_other_lengths_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    by.fit(10, model=of_width(2), progressbar=False, correction=None).save(path)
    message = r"The free variables of `model` must have the lengths .*got 3 numbers where .* has 2"
    with pytest.raises(ValueError, match=message):
        by.load(path, model=of_width(3))


def of_rows(num_rows: int, labels: tuple[str, ...] = ("f", "g")) -> pm.Model:
    with pm.Model(coords={"feature": labels}) as model:
        data = by.Data("data", np.outer(DATA[:num_rows], np.ones(len(labels))), dims=("row", None))
        effect = pm.Normal("effect", dims=("row", "feature"))
        pm.Normal("y", effect + pm.Normal("mu"), 1.0, observed=data, dims=("row", "feature"))
    return model


def test_other_rows_are_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    by.fit(
        10, model=of_rows(12), batch_size=4, progressbar=False, correction=None, random_seed=1
    ).save(path)
    assert by.load(path, model=of_rows(20)).mean["effect"].shape == (12, 2)
    with pytest.raises(ValueError, match=r"The dim 'feature' of `model`, of 'effect', must"):
        by.load(path, model=of_rows(12, ("g", "f")))
