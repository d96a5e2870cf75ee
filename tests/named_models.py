"""Models written with pymc.dims, each beside the same model written with pymc alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pymc.dims as pmd

type Pair = tuple[pm.Model, pm.Model]
"""A model of pymc.dims, and the same one of pymc."""

NUM_ROWS = 60
COORDS: dict[str, Any] = {
    "row": range(NUM_ROWS),
    "k": list("abc"),
    "level": list("wxyz"),
    "geo": ["north", "south"],
    "k2": list("abc"),
}
COVARIANCE = np.array([[1, 0.5, 0.2], [0.5, 2, 0.1], [0.2, 0.1, 1.0]])
_random = np.random.default_rng(0)
X = _random.normal(size=(NUM_ROWS, 3))
Y = _random.normal(size=NUM_ROWS) + 1
LEVELS = _random.integers(0, 4, NUM_ROWS).astype("int32")
BY_GEO = _random.normal(size=(NUM_ROWS, 2))


def regression() -> Pair:
    """Return a linear regression, with a dot product along a dim."""
    with pm.Model(coords=COORDS) as named:
        x, y = pmd.Data("x", X, dims=("row", "k")), pmd.Data("y", Y, dims="row")
        intercept, slopes = pmd.Normal("intercept"), pmd.Normal("slopes", dims="k")
        scale = pmd.HalfNormal("scale")
        mean = pmd.Deterministic("mean", intercept + x.dot(slopes, dim="k"))
        pmd.Normal("o", mean, scale, observed=y)
    with pm.Model(coords=COORDS) as plain:
        x, y = pm.Data("x", X, dims=("row", "k")), pm.Data("y", Y, dims="row")
        intercept, slopes = pm.Normal("intercept"), pm.Normal("slopes", dims="k")
        scale = pm.HalfNormal("scale")
        mean = pm.Deterministic("mean", intercept + x @ slopes, dims="row")
        pm.Normal("o", mean, scale, observed=y, dims="row")
    return named, plain


def levels() -> Pair:
    """Return effects of levels, which codes index, and effects that sum to zero."""
    with pm.Model(coords=COORDS) as named:
        level, y = pmd.Data("level_of", LEVELS, dims="row"), pmd.Data("y", Y, dims="row")
        x = pmd.Data("x", X[:, 0], dims="row")
        mean, spread = pmd.Normal("mean"), pmd.HalfNormal("spread")
        effect = pmd.Normal("effect", mean, spread, dims="level")
        centred = pmd.ZeroSumNormal("centred", core_dims="level")
        slope = pmd.Normal("slope", dims=("k", "level"))
        of_row = (effect + centred).isel(level=level)
        pmd.Normal("o", of_row + slope.isel(level=level, k=1) * x, 1.0, observed=y)
    with pm.Model(coords=COORDS) as plain:
        level, y = pm.Data("level_of", LEVELS, dims="row"), pm.Data("y", Y, dims="row")
        x = pm.Data("x", X[:, 0], dims="row")
        mean, spread = pm.Normal("mean"), pm.HalfNormal("spread")
        effect = pm.Normal("effect", mean, spread, dims="level")
        centred = pm.ZeroSumNormal("centred", dims="level")
        slope = pm.Normal("slope", dims=("k", "level"))
        of_row = (effect + centred)[level]
        pm.Normal("o", of_row + slope[1, level] * x, 1.0, observed=y, dims="row")
    return named, plain


def geos() -> Pair:
    """Return a panel: what is observed has its dims in another order than its mean."""
    with pm.Model(coords=COORDS) as named:
        x, y = pmd.Data("x", X, dims=("row", "k")), pmd.Data("y", BY_GEO, dims=("row", "geo"))
        scale = pmd.HalfNormal("scale", dims="geo")
        slopes = pmd.Normal("slopes", 0, scale, dims=("geo", "k"))
        mean = pmd.Normal("intercept", dims="geo") + (slopes * x).sum("k")
        assert mean.dims == ("geo", "row")
        pmd.Normal("o", mean, scale, observed=y)
    with pm.Model(coords=COORDS) as plain:
        x, y = pm.Data("x", X, dims=("row", "k")), pm.Data("y", BY_GEO, dims=("row", "geo"))
        scale = pm.HalfNormal("scale", dims="geo")
        slopes = pm.Normal("slopes", 0, scale[:, None], dims=("geo", "k"))
        mean = pm.Normal("intercept", dims="geo") + x @ slopes.T
        pm.Normal("o", mean, scale, observed=y, dims=("row", "geo"))
    return named, plain


def multivariate() -> Pair:
    """Return multivariate variables whose dims are written in another order than PyMC draws."""
    with pm.Model(coords=COORDS) as named:
        x, y = pmd.Data("x", X, dims=("row", "k")), pmd.Data("y", BY_GEO, dims=("row", "geo"))
        mean = pmd.Normal("mean", dims="k")
        covariance = pmd.as_xtensor(COVARIANCE, dims=("k", "k2"))
        slopes = pmd.MvNormal(
            "slopes", mean, cov=covariance, core_dims=("k", "k2"), dims=("k", "geo")
        )
        ones = pmd.as_xtensor(np.ones(3), dims="k")
        weights = pmd.Dirichlet("weights", ones, core_dims="k", dims=("k", "geo"))
        centred = pmd.ZeroSumNormal("centred", core_dims=("k",), dims=("k", "geo"))
        pmd.Normal("o", (x * (slopes * weights + centred)).sum("k"), 1.0, observed=y)
        pmd.Potential("shrink", -(mean**2).sum())
    with pm.Model(coords=COORDS) as plain:
        x, y = pm.Data("x", X, dims=("row", "k")), pm.Data("y", BY_GEO, dims=("row", "geo"))
        mean = pm.Normal("mean", dims="k")
        slopes = pm.MvNormal("slopes", mean, cov=COVARIANCE, dims=("geo", "k"))
        weights = pm.Dirichlet("weights", np.ones((2, 3)), dims=("geo", "k"))
        centred = pm.ZeroSumNormal("centred", dims=("geo", "k"))
        mean_of_row = x @ (slopes * weights + centred).T
        pm.Normal("o", mean_of_row, 1.0, observed=y, dims=("row", "geo"))
        pm.Potential("shrink", -(mean**2).sum())
    return named, plain


def correlated() -> Pair:
    """Return correlated effects of levels, with an LKJ prior of plain tensors."""
    scales = pm.Exponential.dist(1.0, shape=3)
    with pm.Model(coords=COORDS) as named:
        level, y = pmd.Data("level_of", LEVELS, dims="row"), pmd.Data("y", Y, dims="row")
        x = pmd.Data("x", X[:, 0], dims="row")
        factor, _, _ = pm.LKJCholeskyCov("factor", n=3, eta=2.0, sd_dist=scales)
        mean = pmd.Normal("mean", dims="k")
        chol = pmd.as_xtensor(factor, dims=("k", "k2"))
        effect = pmd.MvNormal(
            "effect", mean, chol=chol, core_dims=("k", "k2"), dims=("level", "k")
        ).isel(level=level)
        pmd.Normal("o", effect.isel(k=0) + effect.isel(k=1) * x, 1.0, observed=y)
    with pm.Model(coords=COORDS) as plain:
        level, y = pm.Data("level_of", LEVELS, dims="row"), pm.Data("y", Y, dims="row")
        x = pm.Data("x", X[:, 0], dims="row")
        factor, _, _ = pm.LKJCholeskyCov("factor", n=3, eta=2.0, sd_dist=scales)
        mean = pm.Normal("mean", dims="k")
        effect = pm.MvNormal("effect", mean, chol=factor, dims=("level", "k"))[level]
        pm.Normal("o", effect[:, 0] + effect[:, 1] * x, 1.0, observed=y, dims="row")
    return named, plain


def distributions() -> Pair:
    """Return variables of many distributions, stacked, concatenated, censored and counted."""
    counts, limited = LEVELS.astype("int64"), np.clip(Y, 0.2, 1.5)
    with pm.Model(coords=COORDS) as named:
        positive = pmd.Data("positive", np.abs(Y) + 0.1, dims="row")
        count, level = pmd.Data("count", counts, dims="row"), pmd.Data("of", LEVELS, dims="row")
        alpha, beta = pmd.Gamma("alpha", 2.0, 1.0), pmd.HalfCauchy("beta", 1.0)
        share = pmd.Beta("share", 2.0, 2.0, dims="geo")
        t = pmd.StudentT("t", nu=4, mu=0, sigma=1, dims=("geo", "k"))
        location, log = pmd.Laplace("location", 0, 1.0), pmd.LogNormal("log", 0, 0.5, dims="k")
        inside = pmd.Uniform("inside", -1, 2)
        stacked = t.stack({"geo_k": ["geo", "k"]})
        pmd.Gamma("o", alpha=alpha * log.prod("k"), beta=beta, observed=positive)
        pmd.Poisson("o_count", pmd.math.exp(location + stacked.mean()), observed=count)
        logits = pmd.concat([t.isel(geo=0), location], dim="k").rename({"k": "level"})
        pmd.Categorical("o_level", logit_p=logits, core_dims="level", observed=level)
        latent = pmd.Normal.dist(inside + share.sum(), 1.0)
        limits = pmd.as_xtensor(limited, dims="row")
        pmd.Censored("o_limited", latent, lower=0.2, upper=1.5, observed=limits)
    with pm.Model(coords=COORDS) as plain:
        positive = pm.Data("positive", np.abs(Y) + 0.1, dims="row")
        count, level = pm.Data("count", counts, dims="row"), pm.Data("of", LEVELS, dims="row")
        alpha, beta = pm.Gamma("alpha", 2.0, 1.0), pm.HalfCauchy("beta", 1.0)
        share = pm.Beta("share", 2.0, 2.0, dims="geo")
        t = pm.StudentT("t", nu=4, mu=0, sigma=1, dims=("geo", "k"))
        location, log = pm.Laplace("location", 0, 1.0), pm.LogNormal("log", 0, 0.5, dims="k")
        inside = pm.Uniform("inside", -1, 2)
        pm.Gamma("o", alpha=alpha * log.prod(), beta=beta, observed=positive, dims="row")
        pm.Poisson("o_count", pm.math.exp(location + t.mean()), observed=count, dims="row")
        logits = pm.math.concatenate([t[0], location[None]])
        pm.Categorical("o_level", logit_p=logits, observed=level, dims="row")
        latent = pm.Normal.dist(inside + share.sum(), 1.0)
        pm.Censored("o_limited", latent, lower=0.2, upper=1.5, observed=limited, dims="row")
    return named, plain


PAIRS: dict[str, Callable[[], Pair]] = {
    function.__name__: function
    for function in (regression, levels, geos, multivariate, correlated, distributions)
}
