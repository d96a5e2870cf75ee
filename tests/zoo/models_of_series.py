"""Whole models of the kinds that PyMC's gallery has, whose observations depend on each other.

Time series, random fields and Gaussian processes. What is wanted of each is in `whole_models`.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

import bayou as by
from tests.zoo.models_of_rows import rng


def hidden_markov() -> pm.Model:
    """A hidden Markov model of two states, by the forward algorithm in a scan."""
    g = rng(40)
    state = np.cumsum(g.random(80) < 0.1) % 2
    with pm.Model() as model:
        Y = by.Data("y", g.normal(np.where(state, 2.0, -1.0), 1), dims="time")
        mu, stay = pm.Normal("mu", [-1, 2], 1), pm.Beta("stay", 9, 1)
        emit = pm.logp(pm.Normal.dist(mu, 1), Y[:, None])
        move = pt.log(pt.stacklists([[stay, 1 - stay], [1 - stay, stay]]))
        alphas = pytensor.scan(
            lambda e, alpha, move: e + pt.logsumexp(alpha[:, None] + move, axis=0),
            sequences=[emit[1:]],
            outputs_info=[emit[0] - np.log(2)],
            non_sequences=[move],
            return_updates=False,
        )
        pm.Potential("o", pt.logsumexp(alphas[-1]))
    return model


def autoregression() -> pm.Model:
    """An autoregression of order 2."""
    g = rng(41)
    y = np.zeros(120)
    for t in range(2, 120):
        y[t] = 0.3 + 0.5 * y[t - 1] - 0.3 * y[t - 2] + g.normal(0, 0.6)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="time")
        rho, s = pm.Normal("rho", 0, 0.5, shape=3), pm.HalfNormal("s", 1)
        first = pm.Normal.dist(0, 1, shape=2)
        pm.AR("o", rho=rho, sigma=s, constant=True, init_dist=first, observed=Y, dims="time")
    return model


def lagged() -> pm.Model:
    """An autoregression as a regression on slices of the data."""
    g = rng(41)
    y = np.zeros(120)
    for t in range(1, 120):
        y[t] = 0.7 * y[t - 1] + g.normal(0, 0.6)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="time")
        rho, s = pm.Normal("rho", 0, 0.5), pm.HalfNormal("s", 1)
        pm.Normal("o", rho * Y[:-1], s, observed=Y[1:])
    return model


def garch() -> pm.Model:
    """Volatility that depends on the last return and the last volatility."""
    g = rng(42)
    y, s = np.zeros(150), 1.0
    for t in range(150):
        y[t] = g.normal(0, s)
        s = np.sqrt(0.2 + 0.3 * y[t] ** 2 + 0.4 * s**2)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="time")
        omega, a = pm.HalfNormal("omega", 1), pm.Beta("a", 2, 3)
        b = pm.Deterministic("b", (1 - a) * pm.Beta("share", 2, 2))
        pm.GARCH11("o", omega=omega, alpha_1=a, beta_1=b, initial_vol=1.0, observed=Y, dims="time")
    return model


def local_level() -> pm.Model:
    """A level that walks, observed with noise."""
    g = rng(43)
    y = np.cumsum(g.normal(0, 0.5, 60)) + g.normal(0, 0.6, 60)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="time")
        drift = pm.HalfNormal("drift", 0.5)
        first = pm.Normal.dist(0, 2)
        level = pm.GaussianRandomWalk("level", 0, drift, init_dist=first, dims="time")
        pm.Normal("o", level, pm.HalfNormal("noise", 1), observed=Y, dims="time")
    return model


def kalman() -> pm.Model:
    """The same, its level summed out by a Kalman filter in a scan over the data."""
    g = rng(43)
    y = np.cumsum(g.normal(0, 0.5, 60)) + g.normal(0, 0.6, 60)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="time")
        drift, noise = pm.HalfNormal("drift", 0.5), pm.HalfNormal("noise", 1)

        def step(y, mean, variance, drift, noise):  # type: ignore[no-untyped-def]
            spread = variance + noise**2
            gain = variance / spread
            logp = -0.5 * (pt.log(2 * np.pi * spread) + (y - mean) ** 2 / spread)
            return mean + gain * (y - mean), variance * (1 - gain) + drift**2, logp

        _, _, logp = pytensor.scan(
            step,
            sequences=[Y],
            outputs_info=[np.float64(0.0), np.float64(4.0), None],
            non_sequences=[drift, noise],
            return_updates=False,
        )
        pm.Potential("o", logp.sum())
    return model


def stochastic_volatility() -> pm.Model:
    """Returns with heavy tails whose logarithmic volatility walks."""
    g = rng(44)
    log_sd = np.cumsum(g.normal(0, 0.15, 100)) - 0.5
    with pm.Model() as model:
        Y = by.Data("y", np.exp(log_sd) * g.standard_t(6, 100), dims="time")
        step = pm.Exponential("step", 10)
        walk = pm.GaussianRandomWalk("walk", 0, step, init_dist=pm.Normal.dist(0, 1), dims="time")
        nu = pm.Exponential("nu", 0.1)
        pm.StudentT("o", nu=nu, lam=pt.exp(-2 * walk), observed=Y, dims="time")
    return model


def changepoint() -> pm.Model:
    """Counts whose rate changes at a time that is a continuous variable."""
    g = rng(45)
    year = np.arange(80.0)
    y = g.poisson(np.where(year < 35, 4.0, 1.5))
    with pm.Model() as model:
        T, Y = by.Data("year", year, dims="time"), by.Data("y", y, dims="time")
        tau, rate = pm.Uniform("tau", 0, 80), pm.Exponential("rate", 0.5, shape=2)
        mean = pm.math.switch(tau > T, rate[0], rate[1])
        pm.Poisson("o", mean, observed=Y, dims="time")
    return model


def seasonal_trend() -> pm.Model:
    """A trend with changes of its slope and two harmonics, as Prophet has it."""
    g = rng(46)
    t = np.linspace(0, 1, 144)
    y = 1 + 2 * t - 3 * np.clip(t - 0.5, 0, None) + 0.5 * np.sin(24 * np.pi * t)
    places = np.linspace(0.1, 0.9, 8)
    with pm.Model() as model:
        T, Y = by.Data("t", t, dims="time"), by.Data("y", y + g.normal(0, 0.2, 144), dims="time")
        k, m = pm.Normal("k", 0, 3), pm.Normal("m", 0, 3)
        change = pm.Laplace("change", 0, 0.5, shape=8)
        season = pm.Normal("season", 0, 1, shape=4)
        angle = 24 * np.pi * T[:, None] * np.array([1.0, 2.0])
        waves = pt.concatenate([pt.sin(angle), pt.cos(angle)], axis=1) @ season
        trend = k * T + m + pt.clip(T[:, None] - places, 0, np.inf) @ change
        pm.Normal("o", trend + waves, pm.HalfNormal("s", 0.5), observed=Y, dims="time")
    return model


def vector_autoregression() -> pm.Model:
    """Two series that depend on each other's last values."""
    g = rng(47)
    y = np.zeros((90, 2))
    for t in range(1, 90):
        y[t] = np.array([[0.5, 0.2], [-0.3, 0.4]]) @ y[t - 1] + g.normal(0, 0.5, 2)
    with pm.Model() as model:
        Y = by.Data("y", y, dims=("time", "series"))
        lag, s = pm.Normal("lag", 0, 0.5, shape=(2, 2)), pm.HalfNormal("s", 1)
        pm.Normal("o", Y[: Y.shape[0] - 1] @ lag.T, s, observed=Y[1:])
    return model


def hsgp() -> pm.Model:
    """A Gaussian process by a Hilbert space approximation."""
    g = rng(48)
    x = np.sort(g.uniform(-3, 3, 120))
    with pm.Model() as model:
        X = by.Data("x", x[:, None], dims=("row", "axis"))
        Y = by.Data("y", np.sin(1.5 * x) + g.normal(0, 0.3, 120), dims="row")
        scale, length = pm.HalfNormal("scale", 1), pm.InverseGamma("length", 5, 5)
        kernel = scale**2 * pm.gp.cov.ExpQuad(1, ls=length)
        curve = pm.gp.HSGP(m=[12], c=1.5, cov_func=kernel).prior("curve", X=X, dims="row")
        pm.Normal("o", curve, pm.HalfNormal("s", 1), observed=Y, dims="row")
    return model


def marginal_process() -> pm.Model:
    """A Gaussian process with its values summed out."""
    g = rng(49)
    x = np.sort(g.uniform(0, 5, 40))
    with pm.Model() as model:
        X = by.Data("x", x[:, None], dims=("row", "axis"))
        Y = by.Data("y", np.sin(x) + g.normal(0, 0.2, 40), dims="row")
        scale, length = pm.HalfNormal("scale", 1), pm.Gamma("length", 3, 2)
        process = pm.gp.Marginal(cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length))
        process.marginal_likelihood("o", X=X, y=Y, sigma=pm.HalfNormal("s", 0.5), dims="row")
    return model


def latent_process() -> pm.Model:
    """Classes by a latent Gaussian process."""
    g = rng(50)
    x = np.linspace(0, 6, 50)
    p = 1 / (1 + np.exp(-2.5 * np.sin(x)))
    with pm.Model() as model:
        X = by.Data("x", x[:, None], dims=("row", "axis"))
        Y = by.Data("y", (g.random(50) < p).astype(int), dims="row")
        scale, length = pm.HalfNormal("scale", 2), pm.InverseGamma("length", 4, 6)
        kernel = scale**2 * pm.gp.cov.ExpQuad(1, ls=length) + pm.gp.cov.WhiteNoise(1e-3)
        curve = pm.gp.Latent(cov_func=kernel).prior("curve", X=X, dims="row")
        pm.Bernoulli("o", logit_p=curve, observed=Y, dims="row")
    return model


def _grid_of_neighbors() -> np.ndarray:
    places = [(i, j) for i in range(5) for j in range(5)]
    return np.array([[abs(a - c) + abs(b - d) == 1 for c, d in places] for a, b in places]).astype(
        int
    )


def spatial_intrinsic() -> pm.Model:
    """Counts of areas, with spatial effects (ICAR) and effects of their own (BYM)."""
    g = rng(51)
    exposure = g.uniform(5, 30, 25)
    surface = np.array([(i + j - 4) / 5 for i in range(5) for j in range(5)])
    y = g.poisson(exposure * np.exp(-0.2 + surface))
    with pm.Model() as model:
        E, Y = by.Data("exposure", exposure, dims="area"), by.Data("y", y, dims="area")
        spatial = pm.ICAR("spatial", W=_grid_of_neighbors(), dims="area")
        own = pm.Normal("own", dims="area")
        sd, share = pm.HalfNormal("sd", 1), pm.Beta("share", 2, 2)
        effect = pm.Deterministic(
            "effect", sd * (pt.sqrt(share) * spatial + pt.sqrt(1 - share) * own)
        )
        pm.Poisson("o", E * pt.exp(pm.Normal("a", 0, 1) + effect), observed=Y, dims="area")
    return model


def spatial_autoregression() -> pm.Model:
    """Values of areas with conditional autoregressive effects (CAR)."""
    g = rng(52)
    y = np.array([(i - 2) / 2 for i in range(5) for j in range(5)]) + g.normal(0, 0.3, 25)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="area")
        alpha, tau = pm.Beta("alpha", 4, 2), pm.Gamma("tau", 4, 2)
        field = pm.CAR("field", np.zeros(25), _grid_of_neighbors(), alpha, tau, dims="area")
        pm.Normal("o", pm.Normal("a", 0, 1) + field, 0.3, observed=Y, dims="area")
    return model


def growth() -> pm.Model:
    """Growth by a differential equation, in steps of a scan over the times."""
    g = rng(53)
    time = np.linspace(0, 4, 40)
    y = 1 / (1 + 9 * np.exp(-1.8 * time)) + g.normal(0, 0.03, 40)
    with pm.Model() as model:
        T, Y = by.Data("t", time, dims="time"), by.Data("y", y, dims="time")
        rate, first = pm.HalfNormal("rate", 2), pm.Beta("first", 2, 10)
        sizes = pytensor.scan(
            lambda dt, size, rate: size + dt * rate * size * (1 - size),
            sequences=[T[1:] - T[:-1]],
            outputs_info=[first],
            non_sequences=[rate],
            return_updates=False,
        )
        curve = pt.concatenate([first[None], sizes])
        pm.Normal("o", curve, pm.HalfNormal("s", 0.2), observed=Y, dims="time")
    return model


def differential_equation() -> pm.Model:
    """The same by `pm.ode`, which integrates with SciPy."""
    from pymc.ode import DifferentialEquation

    g = rng(53)
    time = np.linspace(0.1, 4, 12)
    y = 1 / (1 + 9 * np.exp(-1.8 * time)) + g.normal(0, 0.03, 12)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="time")
        rate, first = pm.HalfNormal("rate", 2), pm.Beta("first", 2, 10)
        equation = DifferentialEquation(
            func=lambda y, t, p: p[0] * y[0] * (1 - y[0]), times=time, n_states=1, n_theta=1, t0=0
        )
        curve = equation(y0=[first], theta=[rate])[:, 0]
        pm.Normal("o", curve, 0.03, observed=Y, dims="time")
    return model
