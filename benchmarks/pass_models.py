"""The models of benchmarks/passes.py: their rows, the model over them, and the exact posterior.

Regressions have 20 columns, standard normal priors and posteriors that Newton's method gives: with
so many rows they are normal. The hierarchical model has five factors of 10 to 50 levels, each with
a scale of its own, and a normal likelihood with known noise. Given the scales its posterior is
normal; they are integrated by importance sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from scipy import optimize

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[Any]
    type Rows = tuple[Array, Array]
    type Moments = tuple[Array, Array]
    # Name, values, dims -> a container of the model.
    type Container = Callable[[str, Array, Any], Any]

NUM_COLUMNS = 20
LEVELS = (10, 20, 30, 40, 50)
SCALES = (0.3, 0.5, 0.7, 0.2, 1.0)
ITERATIONS = 30
# Draws of the scales, from a Student's t around their mode.
SCALE_DRAWS = 1000
DEGREES = 8


def regression_rows(kind: str, num_rows: int) -> Rows:
    """Return predictors and outcomes of a regression."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((num_rows, NUM_COLUMNS))
    slopes = 0.3 * generator.standard_normal(NUM_COLUMNS)
    if kind == "logistic":
        return x, generator.random(num_rows) < 1 / (1 + np.exp(-x @ slopes))
    if kind == "poisson":
        return x, generator.poisson(np.exp(0.3 * x @ slopes))
    return x, x @ slopes + generator.standard_normal(num_rows)


def hierarchical_rows(num_rows: int) -> Rows:
    """Return the level of each factor, shape (num_rows, 5), and outcomes."""
    generator = np.random.default_rng(0)
    codes = np.stack([generator.integers(0, count, num_rows) for count in LEVELS], axis=1)
    effects = [
        scale * generator.standard_normal(n) for n, scale in zip(LEVELS, SCALES, strict=True)
    ]
    expected = sum(effect[codes[:, factor]] for factor, effect in enumerate(effects))
    return codes.astype(np.int16), expected + generator.standard_normal(num_rows)


def model_rows(kind: str, num_rows: int) -> Rows:
    """Return the rows of a model: what it is given, and the outcomes."""
    return (
        hierarchical_rows(num_rows) if kind == "hierarchical" else regression_rows(kind, num_rows)
    )


def write_model(kind: str, x: Array, y: Array, container: Container) -> pm.Model:
    """Return a model over containers of its rows."""
    with pm.Model() as model:
        if kind == "hierarchical":
            expected = pm.Normal("intercept")
            for factor, count in enumerate(LEVELS):
                scale = pm.HalfNormal(f"scale_{factor}")
                effect = pm.Normal(f"effect_{factor}", 0, scale, shape=count)
                expected += effect[container(f"codes_{factor}", x[:, factor], "row")]
            pm.Normal("observed", expected, 1, observed=container("y", y, "row"), dims="row")
            return model
        columns, outcome = container("x", x, ("row", "column")), y.astype(float)
        linear = columns @ pm.Normal("slopes", shape=x.shape[1])
        observed = container("y", outcome, "row")
        if kind == "logistic":
            pm.Bernoulli("observed", logit_p=linear, observed=observed, dims="row")
        elif kind == "poisson":
            pm.Poisson("observed", pm.math.exp(linear), observed=observed, dims="row")
        else:
            pm.Normal("observed", linear, pm.HalfNormal("noise"), observed=observed, dims="row")
    return model


def compared_names(kind: str) -> list[str]:
    """Return the variables whose moments are compared, in their order."""
    if kind != "hierarchical":
        return ["slopes"]
    factors = range(len(LEVELS))
    return [
        "intercept",
        *(f"effect_{factor}" for factor in factors),
        *(f"scale_{factor}" for factor in factors),
    ]


def tree_moments(tree: Any, kind: str) -> Moments:
    """Return the moments of draws of the compared variables, one after the other."""
    draws = [tree.posterior[name].to_numpy() for name in compared_names(kind)]
    flat = np.concatenate(
        [part.reshape(part.shape[0] * part.shape[1], -1) for part in draws], axis=1
    )
    return flat.mean(axis=0), flat.std(axis=0)


def posterior_moments(kind: str, x: Array, y: Array) -> Moments:
    """Return the means and standard deviations of the posterior."""
    return _hierarchical_moments(x, y) if kind == "hierarchical" else _newton(kind, x, y)


def _newton(kind: str, x: Array, y: Array) -> Moments:
    """Return the mode of a regression, and the standard deviations there."""
    slopes, prior = np.zeros(x.shape[1]), np.eye(x.shape[1])
    for _ in range(ITERATIONS):
        linear = x @ slopes
        if kind == "logistic":
            mean = 1 / (1 + np.exp(-linear))
            weights = mean * (1 - mean)
        elif kind == "poisson":
            mean = weights = np.exp(linear)
        else:
            mean, weights = linear, np.full(len(y), 1 / np.mean((y - linear) ** 2))
        residual = (y - mean) * (weights if kind == "normal" else 1.0)
        precision = x.T @ (x * weights[:, None]) + prior
        move = np.linalg.solve(precision, x.T @ residual - slopes)
        slopes = slopes + move
        if np.abs(move).max() < 1e-12:
            break
    return slopes, np.sqrt(np.diag(np.linalg.inv(precision)))


def _hierarchical_moments(x: Array, y: Array) -> Moments:
    """Return the moments of the intercept, the effects and the scales."""
    starts = 1 + np.cumsum((0, *LEVELS))
    columns = np.concatenate(
        [np.zeros((len(y), 1), np.int64), x.astype(np.int64) + starts[:-1]], axis=1
    )
    size = int(starts[-1])
    products = np.zeros((size, size))
    for one in columns.T:
        for other in columns.T:
            products += np.bincount(one * size + other, minlength=size**2).reshape(size, size)
    sums = sum(np.bincount(one, y, minlength=size) for one in columns.T)
    factor = np.repeat(np.arange(len(LEVELS)), LEVELS)

    def given(logs: Array) -> tuple[float, Array, Array]:
        """Return the log density of log scales, and the normal of the effects given them."""
        prior = np.concatenate([[1.0], np.exp(-2 * logs)[factor]])
        covariance = np.linalg.inv(products + np.diag(prior))
        mean = covariance @ sums
        density = 0.5 * np.log(prior).sum() + 0.5 * np.linalg.slogdet(covariance)[1]
        density += 0.5 * sums @ mean + (logs - 0.5 * np.exp(2 * logs)).sum()
        return float(density), mean, np.diag(covariance)

    # Threads of BLAS wait for one another: matrices are small.
    with limited_threads(usable_cores()):
        return _integrate_scales(given)


def _integrate_scales(given: Callable[[Array], tuple[float, Array, Array]]) -> Moments:
    """Return the moments of effects and scales, from those of the effects given log scales."""
    mode = optimize.minimize(lambda logs: -given(logs)[0], np.log(SCALES), method="BFGS").x
    generator = np.random.default_rng(1)
    steps = generator.standard_normal((SCALE_DRAWS, len(LEVELS)))
    steps *= np.sqrt(DEGREES / generator.chisquare(DEGREES, (SCALE_DRAWS, 1)))
    # About the standard deviation of a log scale of so many effects.
    logs = mode + steps / np.sqrt(2 * np.array(LEVELS))
    densities, means, variances = zip(*map(given, logs), strict=True)
    of_steps = -0.5 * (DEGREES + len(LEVELS)) * np.log1p((steps**2).sum(axis=1) / DEGREES)
    weights = np.exp(np.array(densities) - of_steps - np.max(np.array(densities) - of_steps))
    weights /= weights.sum()
    scales = np.exp(logs)
    values = np.concatenate([np.stack(means), scales], axis=1)
    within = np.concatenate([np.stack(variances), np.zeros_like(scales)], axis=1)
    mean = weights @ values
    return mean, np.sqrt(weights @ (within + (values - mean) ** 2))
