"""The construction of models in minibatches: what is replaced, scaled and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.minibatch_model import MinibatchModel, add_names, build_minibatch_model
from bayou.batching.row_dim import find_rows
from bayou.batching.row_independence import GENERAL_HINT
from bayou.models.inputs import has_row_mark
from bayou.models.scaling.total_size import has_total_size

NUM_ROWS = 40
X = np.random.default_rng(0).normal(size=(NUM_ROWS, 2))
Y = np.random.default_rng(1).normal(size=NUM_ROWS)


def regression() -> pm.Model:
    with pm.Model(coords={"feature": ["a", "b"]}) as model:
        x = by.Data("x", X, dims=("row", "feature"))
        weights = by.Data("weights", np.ones(2), dims="feature")
        slopes = pm.Normal("slopes", dims="feature", initval=np.array([1.0, 2.0]))
        scale = pm.HalfNormal("scale")
        mean = pm.Deterministic("mean", x @ (slopes * weights), dims="row")
        pm.Potential("ridge", -(slopes**2).sum())
        pm.Potential("of rows", -((mean - 1) ** 2), dims="row")
        pm.Normal("y", mean, scale, observed=by.Data("outcome", Y, dims="row"), dims="row")
    return model


def hierarchy() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("outcome", Y, dims="row")
        effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), dims="row")
        pm.Normal("y", effect, 1, observed=y, dims="row")
    return model


def build(model: pm.Model, *, latent_inputs: bool = True) -> MinibatchModel:
    return build_minibatch_model(model, find_rows(model), 5, 7, latent_inputs=latent_inputs)


def term_shapes(model: pm.Model) -> dict[str, tuple[int, ...]]:
    names = [variable.name for variable in (*model.basic_RVs, *model.potentials)]
    function = model.compile_fn(model.logp(sum=False), on_unused_input="ignore")
    terms = function(model.initial_point())
    return dict(zip(names, map(np.shape, terms), strict=True))


def test_rows_are_those_of_a_batch_and_the_rest_stays() -> None:
    model = regression()
    built = build(model)
    assert term_shapes(built.model) == {
        "slopes": (2,),
        "scale": (),
        "y": (5,),
        "ridge": (),
        "of rows": (5,),
    }
    assert set(built.slices) == {"x", "outcome"}
    # All containers have the same rows in a step.
    x, y = pm.draw([built.slices["x"], built.slices["outcome"]])
    rows = [int(np.flatnonzero(value == Y)[0]) for value in y]
    np.testing.assert_array_equal(x, X[rows])


def test_transforms_and_starting_values_are_kept() -> None:
    model = regression()
    built = build(model)
    expected, found = model.initial_point(), built.model.initial_point()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    assert built.model.value_vars == model.value_vars


def test_what_has_rows_is_scaled() -> None:
    built = build(regression())
    assert [has_total_size(variable) for variable in built.model.observed_RVs] == [True]
    marks = {potential.name: has_row_mark(potential) for potential in built.model.potentials}
    assert marks == {"ridge": False, "of rows": True}


def test_new_data_of_the_written_model_reach_the_batches() -> None:
    model = regression()
    built = build(model)
    by.set_data({"x": np.full((9, 2), 3.0), "outcome": np.full(9, 4.0)}, model=model)
    np.testing.assert_array_equal(built.slices["x"].eval(), np.full((5, 2), 3.0))
    np.testing.assert_array_equal(built.slices["outcome"].eval(), np.full(5, 4.0))


def test_latent_variables_of_rows_are_inputs() -> None:
    built = build(hierarchy())
    assert built.latent is not None
    assert (built.latent.names, built.latent.num_rows) == (("effect",), NUM_ROWS)
    numbers, rows = pm.draw([built.latent.numbers, built.slices["outcome"]])
    np.testing.assert_array_equal(Y[numbers], rows)
    effect = built.model.rvs_to_values[built.model.free_RVs[1]]
    assert (effect.name, effect.ndim) == ("effect", 1)


def test_latent_variables_of_all_rows_stay_free_if_asked() -> None:
    model = hierarchy()
    built = build(model, latent_inputs=False)
    assert built.model.value_vars == model.value_vars
    assert term_shapes(built.model) == {"spread": (), "effect": (NUM_ROWS,), "y": (5,)}


def test_names_dims_and_coords_are_those_of_the_written_model() -> None:
    model = regression()
    named = add_names(model, build(model))
    assert named.coords == {"feature": ("a", "b"), "row": None}
    assert int(named.dim_lengths["row"].eval()) == 5
    assert named.named_vars_to_dims["mean"] == ("row",)
    assert {"slopes", "scale", "mean", "ridge", "of rows", "y", "weights"} == set(named.named_vars)


def without_dim() -> None:
    by.Data("x", Y)


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        (without_dim, "give 'x' the dim 'row': `dims=`."),
        (lambda: None, GENERAL_HINT),
    ],
)
def test_the_hint_names_data_that_lack_the_dim(more: Callable[[], Any], hint: str) -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Data("outcome", Y, dims="row"))
        more()
    assert build(model).hint == hint


def test_rows_that_nothing_ties_together_are_refused() -> None:
    with pm.Model() as model:
        y = by.Data("outcome", Y, dims="row")
        pm.Normal("y", pm.Normal("effect", dims="row"), 1, observed=y, dims="row")
    with pytest.raises(ValueError, match=r"a value for each row, got \['effect'\] alone\.\nHint"):
        build(model)


def test_latent_variables_need_the_length_of_the_dim() -> None:
    with pm.Model(coords={"row": range(NUM_ROWS)}) as model:
        y = by.Data("outcome", Y, dims="row")
        effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), shape=NUM_ROWS, dims="row")
        pm.Normal("y", effect, 1, observed=y, dims="row")
    message = r"^'effect' must have the length of its dim .*\nHint: leave `shape` out"
    with pytest.raises(ValueError, match=message):
        build(model)
