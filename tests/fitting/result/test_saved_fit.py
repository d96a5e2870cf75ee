"""The file of a fit: each guide comes back with the same bits, and other files are refused."""

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.fitting.guides import Guide
from bayou.fitting.guides.approximation import Approximation, OtherMode
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.result.saved_fit import read_fit, write_fit
from bayou.storage.safetensors_file import read_arrays, write_arrays

RANDOM = np.random.default_rng(0)
PROGRAM: Any = SimpleNamespace(fingerprint="a model", batching=(20, "row"))


def approximation(guide: Guide = MeanField(), **changes: Any) -> Approximation:  # noqa: B008
    params = guide.init(jnp.asarray(RANDOM.normal(size=3)), jnp.asarray(RANDOM.random(3)))
    frame = Frame(RANDOM.normal(size=3), RANDOM.normal(size=(3, 3)))
    elbo, rates = RANDOM.normal(size=5), np.full(5, 0.1)
    found = Approximation(guide, params, frame, elbo, rates, converged=None, reason="no reason")
    return replace(found, **changes)


@pytest.mark.parametrize(
    "saved",
    [
        approximation(),
        approximation(FullRank(), converged=True, correction="linear_response"),
        approximation(LowRank(2), converged=False),
        approximation(
            path=RANDOM.normal(size=(2, 3)),
            path_steps=np.array([3, 5]),
            path_elements=np.arange(3),
            latent=MeanFieldParams(jnp.ones((4, 2)), jnp.zeros((4, 2))),
            other_modes=(OtherMode(np.arange(3.0), 0.5), OtherMode(np.ones(3), 2.0)),
        ),
    ],
    ids=lambda saved: repr(saved.guide),
)
def test_an_approximation_comes_back(saved: Approximation, tmp_path: Path) -> None:
    write_fit(tmp_path / "fit", PROGRAM, saved, None)
    loaded = read_fit(tmp_path / "fit")
    assert loaded.model_fingerprint == "a model"
    assert loaded.batching == (20, "row")
    assert loaded.provenance is None
    for field in fields(Approximation):
        before, after = (getattr(one, field.name) for one in (saved, loaded.approximation))
        assert jax.tree.structure(before) == jax.tree.structure(after), field.name
        for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_names_in_the_file_stay(tmp_path: Path) -> None:
    latent = MeanFieldParams(jnp.ones((4, 2)), jnp.zeros((4, 2)))
    write_fit(tmp_path / "fit", PROGRAM, approximation(latent=latent), None)
    arrays, description = read_arrays(tmp_path / "fit")
    assert set(arrays) == {
        *("params 0", "params 1", "origin", "factor", "elbo", "rates", "latent 0", "latent 1")
    }
    assert description == {
        "kind": "fit",
        "model": "a model",
        "batching": [20, "row"],
        "guide": "MeanField",
        "guide options": {},
        "converged": None,
        "reason": "no reason",
        "correction": None,
        "passes": None,
        "compression": None,
        "num_distinct": None,
        "weights": None,
        "provenance": None,
    }


def test_other_guides_are_refused(tmp_path: Path) -> None:
    class Mine(MeanField):
        pass

    with pytest.raises(
        TypeError, match=r"`save` must be of a fit with a guide of bayou, got .*\nHint"
    ):
        write_fit(tmp_path / "fit", PROGRAM, approximation(Mine()), None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^`path` must be a file in an existing folder, "):
        write_fit(tmp_path / "none" / "fit", PROGRAM, approximation(MeanField()), None)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"fit', which is not a file.\nHint"):
        read_fit(tmp_path / "fit")
    write_arrays(tmp_path / "fit", {"losses": np.zeros(3)}, {"n": 3})
    with pytest.raises(ValueError, match=r"fit', a checkpoint.\nHint: continue"):
        read_fit(tmp_path / "fit")
