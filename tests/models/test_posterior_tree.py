"""The ArviZ tree of draws: the dims, coords and data that the model has when it is made."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayou as by
from bayou.models.posterior_tree import posterior_tree

DRAWS = np.random.default_rng(0).normal(size=(2, 50))


@pytest.fixture
def model() -> pm.Model:
    with pm.Model(coords={"school": ["A", "B"]}) as model:
        x = by.Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "b", "c"]})
        y = by.Data("y", [3.0, 2.0, 1.0], dims="row")
        effect = pm.Normal("effect", dims="school")
        pm.Deterministic("mean", effect.sum() + x, dims="row")
        pm.Normal("obs", model["mean"], 1, observed=y, dims="row")
    return model


def posterior(num_rows: int) -> dict[str, np.ndarray]:
    return {"effect": np.zeros((2, 50, 2)), "mean": np.zeros((2, 50, num_rows))}


def test_groups_dims_and_coords(model: pm.Model) -> None:
    tree = posterior_tree(model, posterior(3))
    assert list(tree.children) == ["posterior", "observed_data", "constant_data"]
    assert tree.posterior["effect"].dims == ("chain", "draw", "school")
    assert tree.posterior["mean"].coords["row"].values.tolist() == ["a", "b", "c"]
    assert tree.posterior["effect"].coords["school"].values.tolist() == ["A", "B"]
    np.testing.assert_array_equal(tree.observed_data["obs"].sel(row=["a", "c"]), [3.0, 1.0])
    assert list(tree.constant_data.data_vars) == ["x"]
    assert tree.constant_data["x"].sel(row="b") == 2.0


def test_new_data_bring_new_coords(model: pm.Model) -> None:
    values = {"x": [5.0, 6.0], "y": [7.0, 8.0]}
    by.set_data(values, coords={"row": ["d", "e"]}, model=model)
    tree = posterior_tree(model, posterior(2))
    assert tree.posterior["mean"].coords["row"].values.tolist() == ["d", "e"]
    np.testing.assert_array_equal(tree.constant_data["x"], [5.0, 6.0])
    np.testing.assert_array_equal(tree.observed_data["obs"], [7.0, 8.0])


def test_sample_stats_and_attrs(model: pm.Model) -> None:
    tree = posterior_tree(
        model,
        posterior(3),
        sample_stats={"lp": DRAWS},
        attrs={"inference_library": "nutpie", "tuning_steps": 10},
    )
    np.testing.assert_array_equal(tree.sample_stats["lp"], DRAWS)
    assert tree.sample_stats["lp"].dims == ("chain", "draw")
    for group in ("posterior", "sample_stats"):
        assert tree[group].attrs["inference_library"] == "nutpie"
        assert tree[group].attrs["tuning_steps"] == 10
    assert "tuning_steps" not in tree.observed_data.attrs


def test_model_without_data_has_draws_alone() -> None:
    with pm.Model() as model:
        pm.Normal("mu")
    assert list(posterior_tree(model, {"mu": DRAWS}).children) == ["posterior"]


def test_more_chains_than_draws() -> None:
    with pm.Model() as model:
        pm.Normal("mu")
    assert posterior_tree(model, {"mu": np.zeros((4, 2))}).posterior["mu"].shape == (4, 2)


def test_axis_without_a_dim() -> None:
    with pm.Model() as model:
        by.Data("x", np.ones((3, 2)), dims=("row", None))
        by.Data("scale", 2.0)
        pm.Normal("mu")
    tree = posterior_tree(model, {"mu": DRAWS})
    assert tree.constant_data["x"].dims == ("row", "x_dim_0")
    assert tree.constant_data["scale"].shape == ()


def test_index_of_a_frame_becomes_coords() -> None:
    table = pd.Series([1.0, 2.0], index=pd.Index(["UA", "AA"], name="carrier"))
    with pm.Model() as model:
        x = by.Data("x", table, export_index_as_coords=True)
        pm.Normal("mu", x, dims="carrier")
    tree = posterior_tree(model, {"mu": np.zeros((1, 5, 2))})
    assert tree.posterior["mu"].sel(carrier="AA").shape == (1, 5)


def test_observed_minibatch_shows_all_of_its_data() -> None:
    counts = np.arange(30)
    with pm.Model() as model:
        mu = pm.HalfNormal("mu")
        batch = by.Minibatch(counts.astype(float), 5)
        pm.Normal("y", mu, 1, observed=batch, total_size=30)
        pm.Poisson("counts", mu, observed=by.Minibatch(counts, 5), total_size=30)
    tree = posterior_tree(model, {"mu": DRAWS})
    np.testing.assert_array_equal(tree.observed_data["y"], counts)
    np.testing.assert_array_equal(tree.observed_data["counts"], counts)
    assert batch.step.get_value() == 0


def test_generator_is_left_out_and_keeps_its_items() -> None:
    items = iter(np.arange(12.0).reshape(4, 3))
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.generator(items)
        pm.Normal("y", mu, 1, observed=batch, total_size=12)
    tree = posterior_tree(model, {"mu": DRAWS})
    assert list(tree.children) == ["posterior"]
    np.testing.assert_array_equal(batch.eval(), [0.0, 1.0, 2.0])


def test_labels_that_do_not_fit_are_left_out_aloud(model: pm.Model) -> None:
    model["x"].set_value(np.ones(4))
    model["y"].set_value(np.ones(4))
    message = (
        r"dim 'row' are left out: 3 labels for the 4 values of 'mean'.*\nHint: pass new labels"
    )
    with pytest.warns(UserWarning, match=message):
        tree = posterior_tree(model, posterior(4))
    assert tree.posterior["mean"].dims == ("chain", "draw", "row")
    assert tree.posterior["mean"].coords["row"].values.tolist() == [0, 1, 2, 3]
    assert tree.posterior["effect"].coords["school"].values.tolist() == ["A", "B"]


@pytest.mark.parametrize(
    ("function", "message", "lost"),
    [
        ("extract_obs_data", "The observed data are not in the tree", "observed_data"),
        ("find_constants", "The constant data are not in the tree", "constant_data"),
        ("storable_labels", "The tree has no dims and coords", None),
    ],
)
def test_what_cannot_be_described_costs_no_draws(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch, function: str, message: str, lost: str | None
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("Not of this graph.")

    monkeypatch.setattr(f"bayou.models.posterior_tree.{function}", fail)
    with pytest.warns(UserWarning, match=rf"^{message}.*: TypeError: Not of this graph\.\nHint: "):
        tree = posterior_tree(model, posterior(3))
    assert tree.posterior["effect"].shape == (2, 50, 2)
    expected = {"posterior", "observed_data", "constant_data"} - {lost}
    assert set(tree.children) == expected
