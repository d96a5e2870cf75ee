"""What is compiled when, without compiling: the cache of densities, their outputs and arguments."""

import dataclasses
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

import bayou as by
from bayou.models.rewrite import structure_of
from bayou.nuts.compiled import compiled_density as compiled
from bayou.nuts.compiled.compiled_density import (
    CompiledDensity,
    compile_density,
    compiled_density,
)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Count the models that are compiled, instead of compiling them."""
    fields = dict.fromkeys(field.name for field in dataclasses.fields(CompiledDensity))
    models: list[Any] = []

    def count(model: pm.Model, _: object) -> CompiledDensity:
        models.append(weakref.ref(model))
        names = tuple(variable.name for variable in model.unobserved_RVs)
        return CompiledDensity(**fields | {"structure": structure_of(model), "output_names": names})

    monkeypatch.setattr(compiled, "compile_density", count)
    return models


def normal() -> pm.Model:
    with pm.Model() as model:
        data = by.Data("data", np.zeros(3))
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=data)
    return model


def test_new_data_compile_nothing(compilations: list[Any]) -> None:
    model = normal()
    density = compiled_density(model)
    by.set_data({"data": np.ones(7)}, model=model)
    assert compiled_density(model) is density
    assert len(compilations) == 1


def test_each_model_is_compiled(compilations: list[Any]) -> None:
    first, second = normal(), normal()
    assert compiled_density(first) is not compiled_density(second)
    assert compiled_density(first.copy()) is not compiled_density(first)
    assert len(compilations) == 3


ADDITIONS = {
    "free": lambda: pm.Normal("new"),
    "observed": lambda: pm.Normal("new", observed=1.0),
    "deterministic": lambda: pm.Deterministic("new", pm.math.constant(1.0)),
    "potential": lambda: pm.Potential("new", pm.math.constant(1.0)),
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_new_variables_compile_again(compilations: list[Any], addition: str) -> None:
    model = normal()
    density = compiled_density(model)
    with model:
        ADDITIONS[addition]()
    assert compiled_density(model) is not density
    assert compiled_density(model) is compiled_density(model)
    assert len(compilations) == 2


def test_new_starting_values_compile_again(compilations: list[Any]) -> None:
    model = normal()
    compiled_density(model)
    model.set_initval(model["mu"], np.array(3.0))
    compiled_density(model)
    assert len(compilations) == 2


def test_models_are_not_kept_alive(
    compilations: list[Any], collect_garbage: Callable[[], object]
) -> None:
    model = normal()
    compiled_density(model)
    del model
    collect_garbage()
    assert compilations[0]() is None


def test_density_must_depend_on_arrays() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Deterministic("product", mu * pm.Normal.dist())
    with pytest.raises(TypeError, match=r"depend on arrays only, got .*\nHint: .*random numbers"):
        compiled_density(model)


@pytest.mark.slow
def test_nothing_is_read_from_a_cache_that_rounds_otherwise(tmp_path: Path) -> None:
    command = (
        "import bayou as by, pymc as pm\n"
        "from bayou.nuts.compiled.compiled_density import compiled_density\n"
        "with pm.Model() as model:\n"
        "    pm.Normal('y', pm.Normal('mu'), 1, observed=by.Data('data', [1.0, 2.0]))\n"
        "compiled_density(model).bind()\n"
    )
    flags = {"PYTENSOR_FLAGS": f"base_compiledir={tmp_path}"}
    subprocess.run([sys.executable, "-c", command], check=True, env=os.environ | flags)
    assert list(tmp_path.rglob("*.nb[ci]")) == []


def test_a_density_that_does_not_depend_on_a_variable_has_gradient_zero() -> None:
    with pm.Model() as model:
        pm.Flat("free", shape=2)
        pm.Normal("known")
    _, gradient = compile_density(model).bind(backend="jax").gradients(np.array([[1.0, 2.0, 0.5]]))
    np.testing.assert_allclose(gradient, [[0, 0, -0.5]])


class _Square(Op):
    """A square that PyTensor cannot differentiate."""

    def make_node(self, value: Any) -> Apply:
        return Apply(self, [pt.as_tensor(value)], [pt.dscalar()])

    def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
        outputs[0][0] = np.asarray(inputs[0] ** 2)


def test_an_operation_without_a_gradient_is_refused() -> None:
    with pm.Model() as model:
        pm.Potential("square", -_Square()(pm.Normal("mean")))
    words = r"operations with a gradient, got one without: .*_Square\.\nHint: give .* `pullback`"
    with pytest.raises(TypeError, match=words):
        by.sample(model=model, random_seed=1, progressbar=False)
