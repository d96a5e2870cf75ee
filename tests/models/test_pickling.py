"""Densities of one's own arrive in another process with the model."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pymc as pm

import bayou as by
from bayou.models.pickling import REGISTRIES, carry_densities

ROWS = np.arange(1.0, 6.0)


def model_with_densities() -> pm.Model:
    # Functions within a function are sent as they are, those of a module by its name.
    def density(value: Any, mean: Any) -> Any:
        return -pm.math.abs(value - mean)

    def drawn(mean: Any, rng: Any = None, size: Any = None) -> Any:
        return rng.laplace(mean, 1, size)

    def positive(mean: Any, size: Any) -> Any:
        return pm.math.exp(pm.Normal.dist(mean, 1, size=size))

    def below(value: Any, mean: Any) -> Any:
        return pm.logcdf(pm.Laplace.dist(mean, 1), value)

    with pm.Model() as model:
        y = by.Data("y", ROWS, dims="row")
        mean = pm.Normal("mean")
        inner = pm.CustomDist.dist(
            mean, logp=density, logcdf=below, random=drawn, class_name="inner"
        )
        pm.CustomDist("black", mean, logp=density, random=drawn, observed=y, dims="row")
        pm.CustomDist("given", mean, dist=positive, logp=density, observed=ROWS)
        pm.CustomDist("derived", mean, dist=positive, observed=ROWS)
        pm.Mixture("mixed", [0.5, 0.5], [inner, pm.Normal.dist()], observed=ROWS)
        pm.Truncated("cut", inner, lower=0, observed=ROWS)
    return model


# By cloudpickle, as what workers are sent.
ELSEWHERE = """
import sys, cloudpickle, numpy as np, pymc as pm
with open(sys.argv[1], "rb") as file:
    model = cloudpickle.load(file)
terms = model.compile_logp(sum=False)({"mean": np.array(0.5)})
print([float(term.sum()) for term in terms])
print(pm.draw(model["black"], random_seed=1).tolist())
"""


def test_another_process_has_the_densities(tmp_path: Path) -> None:
    model = model_with_densities()
    carry_densities(model)
    path = tmp_path / "model.pickle"
    path.write_bytes(cloudpickle.dumps(model))
    command = [sys.executable, "-c", ELSEWHERE, str(path)]
    told = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, text=True, check=True)
    terms, draws = map(np.array, map(eval, told.stdout.splitlines()))
    expected = [float(term.sum()) for term in model.compile_logp(sum=False)({"mean": 0.5})]
    assert len(expected) == 6
    np.testing.assert_array_equal(terms, expected)
    np.testing.assert_array_equal(draws, pm.draw(model["black"], random_seed=1))


def test_here_they_stay_as_they_are() -> None:
    model = model_with_densities()
    operation = model["black"].owner.op
    registered = REGISTRIES["logp"].registry[type(operation)]
    carry_densities(model)
    for again in (copy.copy(operation), cloudpickle.loads(cloudpickle.dumps(operation))):
        assert type(again) is type(operation)
        assert again == operation
    assert REGISTRIES["logp"].registry[type(operation)] is registered
