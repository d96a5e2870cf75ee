"""Models in which the dim of the rows comes first: of the same density, term by term."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytest

from bayou.models.interpret import compile_interpreter
from bayou.models.plain.first_axis import with_dim_first

X = np.random.default_rng(0).normal(size=(4, 3))


def panel(**kwargs: Any) -> pm.Model:
    with pm.Model(coords={"geo": range(3), "date": range(4)}) as model:
        x = pm.Data("x", X.T, dims=("geo", "date"))
        effect = pm.Normal("effect", dims="geo")
        latent = pm.Normal.dist(effect[:, None] * x, 1)
        y = pm.Normal("y", effect[:, None], 2, observed=x, dims=("geo", "date"), **kwargs)
        pm.Censored("z", latent, lower=-1, upper=1, observed=X.T.clip(-1, 1), dims=("geo", "date"))
        pm.Deterministic("twice", 2 * y, dims=("geo", "date"))
        pm.Potential("p", effect[:, None] * x, dims=("geo", "date"))
        pm.Normal("other", effect, 1, observed=np.zeros(3), dims="geo")
    return model


def terms(model: pm.Model) -> dict[str, np.ndarray]:
    names = [variable.name for variable in (*model.basic_RVs, *model.potentials)]
    values = compile_interpreter(model.value_vars, model.logp(sum=False))(np.arange(3.0))
    return dict(zip(names, values, strict=True))


def test_terms_are_transposed() -> None:
    model = panel()
    moved = with_dim_first(model, "date")
    found, expected = terms(moved), terms(model)
    for name in ("y", "z", "p"):
        assert moved.named_vars_to_dims[name] == ("date", "geo")
        np.testing.assert_allclose(found[name], expected[name].T, err_msg=name)
    for name in ("effect", "other"):
        np.testing.assert_allclose(found[name], expected[name])


def test_all_else_is_that_of_the_model() -> None:
    model = panel()
    moved = with_dim_first(model, "date")
    assert moved["x"] is model["x"]
    assert moved.coords is model.coords
    assert moved.named_vars_to_dims["twice"] == ("geo", "date")
    y, twice = pm.draw([moved["y"], moved["twice"]], random_seed=1)
    np.testing.assert_allclose(twice, 2 * y.T)
    assert with_dim_first(model, "date") is moved


@pytest.mark.parametrize("dim", [None, "geo", "unknown"])
def test_model_that_has_the_dim_first_is_itself(dim: str | None) -> None:
    model = panel()
    assert with_dim_first(model, dim) is model


def test_axes_of_one_draw_and_of_a_total_size_stay() -> None:
    with pm.Model(coords={"geo": range(3), "date": range(4)}) as joint:
        mean = pm.Normal("mean", shape=4)
        pm.MvNormal("y", mean, np.eye(4), observed=X.T, dims=("geo", "date"))
    moved = with_dim_first(joint, "date")
    assert moved.named_vars_to_dims["y"] == ("geo", "date")
    sized = panel(total_size=(None, 8))
    assert with_dim_first(sized, "date").named_vars_to_dims["y"] == ("geo", "date")
