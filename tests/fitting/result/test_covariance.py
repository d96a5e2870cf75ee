"""Covariances of chosen variables: of every family, by the names of their elements."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by

X = np.random.default_rng(0).normal(size=(300, 2)) @ np.array([[1.0, 0.9], [0.0, 0.5]])
COVARIANCE = np.linalg.inv(X.T @ X + np.eye(2))


def regression() -> pm.Model:
    with pm.Model(coords={"column": ["a", "b"]}) as model:
        slope = pm.Normal("slope", dims="column")
        spread = pm.HalfNormal("spread")
        pm.Normal("y", X @ slope, 1, observed=X @ [1.0, -1.0])
        pm.Normal("z", 0, spread, observed=np.ones(10))
    return model


@pytest.mark.parametrize(
    ("method", "n"),
    [
        ("auto", "auto"),
        *(
            pytest.param(name, 6000, marks=pytest.mark.slow)
            for name in ("fullrank_advi", "lowrank_advi")
        ),
    ],
)
def test_the_covariance_of_a_regression(method: str, n: Any) -> None:
    fit = by.fit(n, method, model=regression(), random_seed=1, progressbar=False)
    found = fit.covariance(["slope"])
    assert list(found.columns) == list(found.index) == ["slope[a]", "slope[b]"]
    np.testing.assert_allclose(found, COVARIANCE, rtol=0.15)
    whole = fit.covariance()
    assert list(whole.columns) == ["slope[a]", "slope[b]", "spread_log__"]
    np.testing.assert_allclose(whole.iloc[:2, :2], found)
    np.testing.assert_allclose(
        np.sqrt(np.diag(whole)), [*fit.std["slope"], fit.std["spread_log__"]]
    )
    assert fit.covariance("spread").columns[0] == "spread_log__"


def test_independent_normals_have_no_covariance() -> None:
    fit = by.fit(600, "advi", model=regression(), correction=None, progressbar=False)
    found = fit.covariance("slope").to_numpy()
    np.testing.assert_allclose(found, np.diag(np.asarray(fit.std["slope"]) ** 2))


def test_names_that_are_no_fitted_variables() -> None:
    fit = by.fit(2, "advi", model=regression(), correction=None, progressbar=False)
    with pytest.raises(ValueError, match=r"`var_names` must be among .*, got \['y'\].\nHint: det"):
        fit.covariance(["slope", "y"])
