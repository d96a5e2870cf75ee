"""Models of pymc.dims as plain ones: of the same density, and of the same data and coords."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np
import pymc as pm
import pymc.dims as pmd
import pytest

import bayou as by
from bayou.containers.variables.named_dims import has_named_dims
from bayou.models.interpret import compile_interpreter
from bayou.models.plain.plain_model import plain_model, read_model
from bayou.models.rewrite import model_graphs
from bayou.provenance.model_fingerprint import variable_fingerprints
from tests.named_models import PAIRS, regression


def terms(model: pm.Model, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The log density of each variable and potential at a point."""
    names = [variable.name for variable in (*model.basic_RVs, *model.potentials)]
    function = compile_interpreter(model.value_vars, model.logp(sum=False))
    values = function(*(point[value.name] for value in model.value_vars))
    return dict(zip(names, values, strict=True))


def random_point(model: pm.Model) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    start = {name: np.asarray(value) for name, value in model.initial_point(0).items()}
    return {name: value + 0.3 * random.normal(size=value.shape) for name, value in start.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_density_is_that_of_the_model_written_without_names(name: str) -> None:
    named, expected = PAIRS[name]()
    plain = plain_model(named)
    assert not has_named_dims(model_graphs(plain))
    point = random_point(plain)
    found, written = terms(plain, point), terms(expected, point)
    assert {name: term.shape for name, term in found.items()} == {
        name: term.shape for name, term in written.items()
    }
    for variable, term in found.items():
        np.testing.assert_allclose(term, written[variable], rtol=1e-12, err_msg=variable)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_density_is_that_of_pymc_for_the_model_itself(name: str) -> None:
    named, _ = PAIRS[name]()
    plain = plain_model(named)
    point = random_point(plain)
    of_named = dict(point)
    for value, plain_value in zip(named.value_vars, plain.value_vars, strict=True):
        variable = named.values_to_rvs[value].name
        old, new = named.named_vars_to_dims.get(variable), plain.named_vars_to_dims.get(variable)
        assert value.name == plain_value.name
        if old and new:
            axes = [new.index(dim) for dim in old]
            of_named[value.name] = point[value.name].transpose(axes)
    found, expected = terms(plain, point), terms(named, of_named)
    for variable, term in found.items():
        np.testing.assert_allclose(term.sum(), expected[variable].sum(), rtol=1e-10)


def test_draws_with_several_axes_have_these_last() -> None:
    named, expected = PAIRS["multivariate"]()
    plain = plain_model(named)
    assert named.named_vars_to_dims["weights"] == ("k", "geo")
    assert plain.named_vars_to_dims["weights"] == ("geo", "k")
    assert [plain[name].type.ndim for name in expected.named_vars] == [
        variable.type.ndim for variable in expected.named_vars.values()
    ]


def test_observed_variable_lies_as_its_data() -> None:
    named, _ = PAIRS["geos"]()
    assert named.named_vars_to_dims["o"] == ("geo", "row")
    plain = plain_model(named)
    assert plain.named_vars_to_dims["o"] == ("row", "geo")
    assert plain.rvs_to_values[plain["o"]] is plain["y"]


def test_fingerprint_is_the_same_each_time() -> None:
    first, second = (variable_fingerprints(plain_model(regression()[0])) for _ in range(2))
    assert first == second


def test_plain_model_is_itself() -> None:
    _, expected = regression()
    assert plain_model(expected) is expected
    plain = plain_model(regression()[0])
    assert plain_model(plain) is plain


def test_plain_model_is_kept_until_the_model_changes() -> None:
    named, _ = regression()
    plain = plain_model(named)
    assert plain_model(named) is plain
    assert read_model(named) is plain
    with named:
        pmd.Normal("another")
    assert [variable.name for variable in plain_model(named).free_RVs][-1] == "another"


def test_plain_model_is_freed_with_the_model(collect_garbage: Callable[[], object]) -> None:
    named, _ = regression()
    plain = weakref.ref(plain_model(named))
    assert plain() is not None
    del named
    # The entry goes with the model, and the plain model, which refers to itself, after that.
    collect_garbage()
    collect_garbage()
    assert plain() is None


def test_data_and_coords_are_those_of_the_model() -> None:
    named, _ = regression()
    plain = plain_model(named)
    by.set_data(
        {"x": np.ones((2, 3)), "y": np.array([4.0, 5.0])}, named, coords={"row": ["u", "v"]}
    )
    assert plain_model(named) is plain
    np.testing.assert_array_equal(plain["y"].get_value(), [4, 5])
    assert plain.coords["row"] == ("u", "v")
    by.set_data({"x": np.ones((1, 3)), "y": np.array([6.0])}, plain, coords={"row": ["w"]})
    np.testing.assert_array_equal(named["y"].get_value(), [6])
    assert named.coords["row"] == ("w",)
    assert int(named["o"].shape[0].eval()) == 1


def test_copied_model_has_data_of_its_own() -> None:
    named, _ = regression()
    plain = plain_model(named)
    copied = named.copy()
    by.set_data({"x": np.ones((1, 3)), "y": np.array([6.0])}, copied, coords={"row": ["w"]})
    np.testing.assert_array_equal(plain_model(copied)["y"].get_value(), [6])
    assert len(plain["y"].get_value()) == 60


def test_names_and_starts_are_kept() -> None:
    with pm.Model(name="outer", coords={"k": range(2), "geo": range(3)}) as named:
        pmd.Normal("a", dims="k", initval=np.array([1.0, 2.0]))
        mean = pmd.as_xtensor(np.zeros(2), dims="k")
        covariance = pmd.as_xtensor(np.eye(2), dims=("k", "k2"))
        start = np.arange(6.0).reshape(2, 3)
        pmd.MvNormal(
            "b",
            mean,
            cov=covariance,
            core_dims=("k", "k2"),
            dims=("k", "geo"),
            initval=start,
        )
    plain = plain_model(named)
    assert plain["a"].name == "outer::a"
    point = plain.initial_point(0)
    np.testing.assert_array_equal(point["outer::a"], [1, 2])
    np.testing.assert_array_equal(point["outer::b"], start.T)


def test_plain_variables_stay_in_a_mixed_model() -> None:
    with pm.Model(coords={"row": range(4)}) as named:
        x = by.Data("x", np.arange(4.0), dims="row")
        slope = pm.HalfNormal("slope")
        mean = pmd.as_xtensor(slope * x, dims="row") + pmd.Normal("intercept")
        pm.Normal("o", mean.values, 1, observed=np.ones(4), dims="row")
    plain = plain_model(named)
    assert plain["x"] is x
    point = {"slope_log__": np.array(0.0), "intercept": np.array(0.5)}
    expected = -0.5 * (1 - (np.arange(4) + 0.5)) ** 2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(terms(plain, point)["o"], expected)


def test_lengths_of_dims_may_be_those_of_variables() -> None:
    with pm.Model() as named:
        pmd.Normal("a", pmd.as_xtensor(np.zeros(3), dims="new"))
    assert has_named_dims(list(named.dim_lengths.values()))
    assert not has_named_dims(list(plain_model(named).dim_lengths.values()))


def test_frozen_and_changed_models_are_read() -> None:
    named, expected = regression()
    frozen = pm.model.transform.conditioning.change_value_transforms(named, {"scale": None})
    assert plain_model(frozen).rvs_to_transforms[plain_model(frozen)["scale"]] is None
    fixed = pm.do(named, {"intercept": np.array(1.0)})
    assert [variable.name for variable in plain_model(fixed).free_RVs] == ["slopes", "scale"]
    point = random_point(plain_model(fixed))
    with_intercept = {**point, "intercept": np.array(1.0)}
    np.testing.assert_allclose(
        terms(plain_model(fixed), point)["o"], terms(expected, with_intercept)["o"]
    )
