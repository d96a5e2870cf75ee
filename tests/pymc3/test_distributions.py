import numpy as np
import pymc as pm
import pytest
from pytensor.graph.basic import equal_computations

import bayou.pymc3 as pm3
from bayou.pymc3.distributions import HAD_SD

PARAMETERS = {
    "AR": {"rho": [0.5], "steps": 3, "init_dist": pm.Normal.dist()},
    "Beta": {"mu": 0.5},
    "ExGaussian": {"mu": 0.0, "nu": 1.0},
    "Gamma": {"mu": 1.0},
    "GaussianRandomWalk": {"steps": 3, "init_dist": pm.Normal.dist()},
    "HalfNormal": {},
    "HalfStudentT": {"nu": 3.0},
    "InverseGamma": {"mu": 1.0},
    "LogNormal": {},
    "LogitNormal": {},
    "Normal": {"mu": 0.0},
    "NormalMixture": {"w": [0.5, 0.5], "mu": [0.0, 1.0]},
    "Rice": {"nu": 1.0},
    "SkewNormal": {"alpha": 1.0},
    "StudentT": {"nu": 3.0},
    "TruncatedNormal": {"lower": 0.0},
}


def draw(variable):
    return pm.draw(variable, random_seed=1)


@pytest.mark.parametrize("name", sorted(HAD_SD))
def test_sd_is_sigma(name):
    parameters = PARAMETERS[name]
    old, new = getattr(pm3, name), getattr(pm, name)
    np.testing.assert_array_equal(
        draw(old.dist(**parameters, sd=0.3)), draw(new.dist(**parameters, sigma=0.3))
    )
    assert np.any(draw(old.dist(**parameters, sd=0.3)) != draw(old.dist(**parameters, sd=0.4)))
    with pm3.Model() as model:
        old("x", **parameters, sd=0.3)
    with pm.Model() as other:
        new("x", **parameters, sigma=0.3)
    np.testing.assert_array_equal(draw(model["x"]), draw(other["x"]))


def test_tau_is_left_alone():
    x = pm3.Normal.dist(mu=0.0, tau=4.0)
    assert equal_computations([x.owner.inputs[3]], [pm.Normal.dist(0.0, tau=4.0).owner.inputs[3]])


def test_sd_with_sigma_is_refused():
    with pytest.raises(TypeError, match="`sd` and `sigma` of Normal are the same, got both"):
        pm3.Normal.dist(0, sd=1, sigma=1)


def test_sd_of_a_distribution_that_had_none_is_refused():
    with pytest.raises(TypeError, match="Poisson has no `sd`, got 1"), pm3.Model():
        pm3.Poisson("x", 1, sd=1)


def test_testval_is_initval():
    with pm3.Model() as model:
        pm3.Normal("x", testval=3.0)
    assert model.initial_point()["x"] == 3


def test_an_iterator_as_observed_becomes_a_generator():
    with pm3.Model() as model:
        pm3.Normal("x", sd=1, observed=iter(np.eye(3)), total_size=30)
    density = pm3.theano.function([], model.logpt)
    received = [density() for _ in range(3)]
    np.testing.assert_allclose(received, 10 * (3 * -0.5 * np.log(2 * np.pi) - 0.5))
    with pytest.raises(StopIteration):
        density()


def test_distributions_keep_what_else_pymc_gives_them():
    assert pm3.Normal.kind is pm.Normal
    assert pm3.Normal is pm3.Normal
    assert pm3.Normal.rv_op is pm.Normal.rv_op
    assert pm3.Normal.__doc__ == pm.Normal.__doc__
    assert repr(pm3.Lognormal) == "<LogNormal with the keywords of PyMC3>"
    assert pm3.Continuous is pm.Continuous
    assert pm3.Deterministic is pm.Deterministic
    assert pm3.math is pm.math
    with pytest.raises(AttributeError, match="no_such_name"):
        pm3.no_such_name  # noqa: B018
