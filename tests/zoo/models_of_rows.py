"""Whole models of the kinds that PyMC's gallery has, whose observations are rows.

Each makes its data from a fixed seed. What is wanted of each is in `whole_models`.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.interpolate import BSpline

import bayou as by

ordered = pm.distributions.transforms.ordered


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def network() -> pm.Model:
    """A Bayesian neural network with one hidden layer."""
    g = rng(1)
    x = np.linspace(-2, 2, 100)
    with pm.Model() as model:
        X = by.Data("x", x, dims="row")
        Y = by.Data("y", np.sin(2 * x) + g.normal(0, 0.2, 100), dims="row")
        w1, b1 = pm.Normal("w1", 0, 1, shape=4), pm.Normal("b1", 0, 1, shape=4)
        w2 = pm.Normal("w2", 0, 1, shape=4)
        curve = pm.Deterministic("curve", pt.tanh(X[:, None] * w1 + b1) @ w2, dims="row")
        pm.Normal("o", curve, pm.HalfNormal("s", 0.5), observed=Y, dims="row")
    return model


def topics() -> pm.Model:
    """Latent Dirichlet allocation, the topics of words summed out."""
    g = rng(2)
    anchors = np.array([[8.0, 8, 1, 1, 1, 1], [1, 1, 8, 8, 1, 1]])
    theta, phi = g.dirichlet([1, 1], size=15), np.stack([g.dirichlet(a) for a in anchors])
    document = np.repeat(np.arange(15), 20)
    word = np.array([g.choice(6, p=theta[d] @ phi) for d in document])
    with pm.Model() as model:
        D, W = by.Data("document", document, dims="row"), by.Data("word", word, dims="row")
        share = pm.Dirichlet("share", np.ones(2), shape=(15, 2))
        topic = pm.Dirichlet("topic", anchors)
        pm.Categorical("o", p=share[D] @ topic, observed=W, dims="row")
    return model


def item_response() -> pm.Model:
    """Item response with difficulties and discriminations (2PL)."""
    g = rng(3)
    student, item = (
        each.ravel() for each in np.meshgrid(np.arange(36), np.arange(8), indexing="ij")
    )
    p = 1 / (1 + np.exp(-1.2 * (g.normal(size=36)[student] - np.linspace(-1.5, 1.5, 8)[item])))
    with pm.Model() as model:
        S, K = by.Data("student", student, dims="row"), by.Data("item", item, dims="row")
        Y = by.Data("y", (g.random(p.size) < p).astype(int), dims="row")
        ability, difficulty = pm.Normal("ability", shape=36), pm.Normal("difficulty", 0, 2, shape=8)
        slope = pm.LogNormal("slope", 0, 0.4, shape=8)
        pm.Bernoulli("o", logit_p=slope[K] * (ability[S] - difficulty[K]), observed=Y, dims="row")
    return model


def factors() -> pm.Model:
    """A matrix of ratings as a product of two factors, some of its entries observed."""
    g = rng(4)
    u, v = g.normal(size=(18, 2)), g.normal(size=(10, 2))
    user, movie = g.integers(0, 18, 160), g.integers(0, 10, 160)
    with pm.Model() as model:
        U, V = by.Data("user", user, dims="row"), by.Data("movie", movie, dims="row")
        Y = by.Data("y", (u @ v.T)[user, movie] + g.normal(0, 0.4, 160), dims="row")
        left, right = pm.Normal("left", shape=(18, 2)), pm.Normal("right", shape=(10, 2))
        rating = pm.Deterministic("rating", (left[U] * right[V]).sum(axis=-1), dims="row")
        pm.Normal("o", rating, 0.4, observed=Y, dims="row")
    return model


def normal_mixture() -> pm.Model:
    """A mixture of two normals, in order."""
    g = rng(5)
    z = g.random(200) < 0.35
    with pm.Model() as model:
        Y = by.Data("y", np.where(z, g.normal(-2, 0.8, 200), g.normal(1.5, 1.2, 200)), dims="row")
        w = pm.Dirichlet("w", np.ones(2))
        mu = pm.Normal("mu", [-1, 1], 3, transform=ordered, initval=[-1.0, 1.0])
        s = pm.HalfNormal("s", 2, shape=2)
        pm.NormalMixture("o", w=w, mu=mu, sigma=s, observed=Y, dims="row")
    return model


def vector_mixture() -> pm.Model:
    """A mixture of two multivariate normals."""
    g = rng(6)
    z = g.random(120) < 0.4
    y = np.where(z[:, None], g.normal([-2, -1], 1, (120, 2)), g.normal([2, 1], 1, (120, 2)))
    with pm.Model() as model:
        Y = by.Data("y", y, dims=("row", "axis"))
        w = pm.Beta("w", 2, 2)
        centre = pm.Normal("centre", [[-2, -1], [2, 1]], 1, shape=(2, 2))
        parts = [pm.MvNormal.dist(centre[k], np.eye(2)) for k in range(2)]
        pm.Mixture("o", pt.stack([w, 1 - w]), parts, observed=Y, dims=("row", "axis"))
    return model


def point_mass_mixture() -> pm.Model:
    """A mixture of a point at zero and a gamma."""
    g = rng(30)
    y = np.where(g.random(150) < 0.3, 0.0, g.gamma(2, 1.5, 150))
    with pm.Model() as model:
        Y = by.Data("y", y, dims="row")
        w = pm.Beta("w", 1, 1)
        shape, rate = pm.HalfNormal("shape", 5), pm.HalfNormal("rate", 5)
        parts = [pm.DiracDelta.dist(0.0), pm.Gamma.dist(shape, rate)]
        pm.Mixture("o", pt.stack([w, 1 - w]), parts, observed=Y, dims="row")
    return model


def piecewise_survival() -> pm.Model:
    """Piecewise constant hazards as Poisson counts; exposures of zero included."""
    g = rng(7)
    x = g.normal(size=50)
    time = g.exponential(1 / (0.4 * np.exp(0.7 * x)))
    ends, event = np.array([1.0, 2.0, 4.0]), time < 4.0
    begins = np.concatenate([[0.0], ends[:-1]])
    exposure = np.clip(time[:, None] - begins, 0, ends - begins)
    died = (event[:, None] & (time[:, None] > begins) & (time[:, None] <= ends)).astype(int)
    piece = np.tile(np.arange(3), 50)
    with pm.Model() as model:
        E, D = (
            by.Data("exposure", exposure.ravel(), dims="row"),
            by.Data("died", died.ravel(), dims="row"),
        )
        P, X = by.Data("piece", piece, dims="row"), by.Data("x", np.repeat(x, 3), dims="row")
        hazard, b = pm.Gamma("hazard", 0.5, 0.5, shape=3), pm.Normal("b", 0, 2)
        pm.Poisson("o", E * hazard[P] * pt.exp(b * X), observed=D, dims="row")
    return model


def weibull_survival() -> pm.Model:
    """Weibull survival, censored at another time for each row."""
    g = rng(8)
    x, limit = g.normal(size=200), g.uniform(0.5, 3, 200)
    time = np.minimum(np.exp(0.5 + 0.4 * x) * g.weibull(1.5, 200), limit)
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", time, dims="row")
        L = by.Data("limit", limit, dims="row")
        a, b, shape = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2), pm.HalfNormal("shape", 3)
        life = pm.Weibull.dist(alpha=shape, beta=pt.exp(a + b * X))
        pm.Censored("o", life, lower=None, upper=L, observed=Y, dims="row")
    return model


def ordinal() -> pm.Model:
    """Ordinal regression with free cutpoints."""
    g = rng(9)
    x = g.normal(size=200)
    y = np.digitize(0.9 * x + g.logistic(size=200), [-1.0, 0.5, 2.0])
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", y, dims="row")
        b = pm.Normal("b", 0, 2)
        cuts = pm.Normal("cuts", [-1, 0, 1], 2, transform=ordered, initval=[-1.0, 0.0, 1.0])
        pm.OrderedLogistic("o", eta=b * X, cutpoints=cuts, compute_p=False, observed=Y, dims="row")
    return model


def hurdle() -> pm.Model:
    """Hurdle regression of counts."""
    g = rng(10)
    x = g.normal(size=200)
    count = g.poisson(np.exp(0.8 + 0.4 * x)).clip(1)
    y = np.where(g.random(200) < 1 / (1 + np.exp(-0.5 - x)), count, 0)
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", y, dims="row")
        a, b = pm.Normal("a", 0, 2, shape=2), pm.Normal("b", 0, 2, shape=2)
        psi, mu = pm.math.invlogit(a[0] + b[0] * X), pt.exp(a[1] + b[1] * X)
        pm.HurdlePoisson("o", psi=psi, mu=mu, observed=Y, dims="row")
    return model


def zero_inflated() -> pm.Model:
    """Zero-inflated negative binomial regression."""
    g = rng(11)
    x = g.normal(size=250)
    mu = np.exp(1 + 0.5 * x)
    y = np.where(g.random(250) < 0.7, g.negative_binomial(2, 2 / (2 + mu)), 0)
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", y, dims="row")
        a, b = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2)
        psi, alpha = pm.Beta("psi", 2, 2), pm.Exponential("alpha", 0.5)
        pm.ZeroInflatedNegativeBinomial(
            "o", psi=psi, mu=pt.exp(a + b * X), alpha=alpha, observed=Y, dims="row"
        )
    return model


def varying_slopes() -> pm.Model:
    """Intercepts and slopes that vary together over groups."""
    g = rng(12)
    group, x = np.repeat(np.arange(12), 15), g.normal(size=180)
    effect = g.multivariate_normal([1, -0.5], [[0.5, 0.2], [0.2, 0.3]], 12)
    y = effect[group, 0] + effect[group, 1] * x + g.normal(0, 0.5, 180)
    with pm.Model() as model:
        G, X, Y = (by.Data(k, v, dims="row") for k, v in (("g", group), ("x", x), ("y", y)))
        chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=pm.HalfNormal.dist(1, shape=2))
        mean, z = pm.Normal("mean", 0, 2, shape=2), pm.Normal("z", shape=(12, 2))
        effects = pm.Deterministic("effects", mean + z @ chol.T)
        pm.Normal(
            "o", effects[G, 0] + effects[G, 1] * X, pm.HalfNormal("s", 1), observed=Y, dims="row"
        )
    return model


def poststratified() -> pm.Model:
    """Binomial answers by state within region and by age, for poststratification."""
    g = rng(13)
    state, age = np.divmod(np.arange(15 * 4), 4)
    region = np.arange(15) % 3
    asked = g.integers(3, 25, 60)
    eta = 0.3 + 0.4 * g.normal(size=15)[state] + np.array([-0.5, 0, 0.2, 0.5])[age]
    yes = g.binomial(asked, 1 / (1 + np.exp(-eta)))
    with pm.Model() as model:
        S, A = by.Data("state", state, dims="row"), by.Data("age", age, dims="row")
        N, Y = by.Data("asked", asked, dims="row"), by.Data("yes", yes, dims="row")
        sd = pm.HalfNormal("sd", 0.5, shape=3)
        of_region = pm.Normal("of_region", 0, 1, shape=3) * sd[0]
        of_state = pm.Deterministic(
            "of_state", of_region[region] + pm.Normal("z", shape=15) * sd[1]
        )
        of_age = pm.ZeroSumNormal("of_age", sd[2], shape=4)
        eta = pm.Normal("a", 0, 1.5) + of_state[S] + of_age[A]
        pm.Binomial("o", n=N, p=pm.math.invlogit(eta), observed=Y, dims="row")
    return model


def missing_outcomes() -> pm.Model:
    """A regression whose outcomes are partly missing, and are imputed."""
    g = rng(14)
    x = g.normal(size=80)
    y = 1 + 2 * x + g.normal(size=80)
    y[::9] = np.nan
    with pm.Model() as model:
        table = {"x": x, "y": y}
        X = by.Data("x", table, columns="x", dims="row")
        Y = by.Data("y", table, columns="y", dims="row", missing="impute")
        a, b = pm.Normal("a", 0, 5), pm.Normal("b", 0, 5)
        pm.Normal("o", a + b * X, pm.HalfNormal("s", 2), observed=Y, dims="row")
    return model


def missing_predictors() -> pm.Model:
    """A regression on a masked array, whose missing values are drawn with the rest."""
    g = rng(15)
    x = g.normal(0.5, 1, size=60)
    y = 1 + 1.5 * x + g.normal(0, 0.7, size=60)
    masked = np.ma.masked_array(x, mask=np.arange(60) % 10 == 3)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="row")
        m = pm.Normal("m", 0, 2)
        X = pm.Normal("x", m, pm.HalfNormal("t", 2), observed=masked, dims="row")
        a, b = pm.Normal("a", 0, 5), pm.Normal("b", 0, 5)
        pm.Normal("o", a + b * X, pm.HalfNormal("s", 2), observed=Y, dims="row")
    return model


def truncated() -> pm.Model:
    """A regression of which only outcomes above a limit are seen."""
    g = rng(16)
    x = g.normal(size=500)
    y = 1 + x + g.normal(size=500)
    x, y = x[y > 0.5][:250], y[y > 0.5][:250]
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", y, dims="row")
        a, b, s = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2), pm.HalfNormal("s", 2)
        pm.Truncated("o", pm.Normal.dist(a + b * X, s), lower=0.5, observed=Y, dims="row")
    return model


def splines() -> pm.Model:
    """A curve of splines, whose basis is an array of the graph."""
    g = rng(17)
    x = np.sort(g.uniform(0, 1, 120))
    knots = np.concatenate([[0.0] * 3, np.linspace(0, 1, 6), [1.0] * 3])
    basis = BSpline.design_matrix(x, knots, 3).toarray()
    with pm.Model() as model:
        Y = by.Data("y", np.sin(6 * x) + g.normal(0, 0.3, 120), dims="row")
        w = pm.Normal("w", 0, 2, shape=basis.shape[1])
        pm.Normal("o", pt.dot(basis, w), pm.HalfNormal("s", 1), observed=Y, dims="row")
    return model


def compositions() -> pm.Model:
    """Dirichlet-multinomial regression of counts of three kinds."""
    g = rng(18)
    x = g.normal(size=70)
    alpha = 5 * np.exp(np.array([0.0, 0.5, -0.5]) + x[:, None] * np.array([0.0, 0.5, -0.3]))
    y = np.stack([g.multinomial(20, g.dirichlet(a)) for a in alpha])
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", y, dims=("row", "kind"))
        a, b = pm.Normal("a", 1, 1, shape=3), pm.Normal("b", 0, 1, shape=3)
        pm.DirichletMultinomial(
            "o", n=20, a=pt.exp(a + X[:, None] * b), observed=Y, dims=("row", "kind")
        )
    return model


def weighted() -> pm.Model:
    """A regression whose rows have weights, as a potential."""
    g = rng(19)
    x = g.normal(size=150)
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", 1 - x + g.normal(size=150), dims="row")
        W = by.Data("weight", g.gamma(2, 0.5, 150), dims="row")
        a, b, s = pm.Normal("a", 0, 3), pm.Normal("b", 0, 3), pm.HalfNormal("s", 2)
        pm.Potential("o", W * pm.logp(pm.Normal.dist(a + b * X, s), Y), dims="row")
    return model


def robust_horseshoe() -> pm.Model:
    """A regression with a sparse prior and errors with heavy tails."""
    g = rng(20)
    x = g.normal(size=(150, 6))
    y = x @ [2.0, 0, 0, -1, 0, 0] + 0.5 * g.standard_t(3, 150)
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims=("row", "feature")), by.Data("y", y, dims="row")
        tau, local = pm.HalfCauchy("tau", 0.5), pm.HalfCauchy("local", 1, dims="feature")
        b = pm.Deterministic("b", pm.Normal("z", dims="feature") * tau * local, dims="feature")
        pm.StudentT("o", nu=4, mu=X @ b, sigma=pm.HalfNormal("s", 1), observed=Y, dims="row")
    return model


def measured_with_error() -> pm.Model:
    """A regression on a predictor that was measured with error: a latent value a row."""
    g = rng(21)
    x = g.normal(size=100)
    with pm.Model() as model:
        X = by.Data("x", x + g.normal(0, 0.5, 100), dims="row")
        Y = by.Data("y", 1 + 1.5 * x + g.normal(0, 0.5, 100), dims="row")
        true = pm.Normal("true", 0, 1, dims="row")
        pm.Normal("measured", true, 0.5, observed=X, dims="row")
        a, b = pm.Normal("a", 0, 3), pm.Normal("b", 0, 3)
        pm.Normal("o", a + b * true, 0.5, observed=Y, dims="row")
    return model


def joint_outcomes() -> pm.Model:
    """Two outcomes of a row with correlated errors."""
    g = rng(22)
    x = g.normal(size=120)
    mean = np.stack([1 + x, -x], axis=1)
    y = mean + g.multivariate_normal([0, 0], [[1, 0.5], [0.5, 0.8]], 120)
    with pm.Model() as model:
        X, Y = by.Data("x", x, dims="row"), by.Data("y", y, dims=("row", "outcome"))
        a, b = pm.Normal("a", 0, 3, dims="outcome"), pm.Normal("b", 0, 3, dims="outcome")
        chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=pm.HalfNormal.dist(2, shape=2))
        pm.MvNormal("o", a + X[:, None] * b, chol=chol, observed=Y, dims=("row", "outcome"))
    return model


def proportional_hazards() -> pm.Model:
    """Cox regression: the partial likelihood, of which each row takes all that are at risk."""
    g = rng(23)
    x = g.normal(size=80)
    time = g.exponential(np.exp(-0.8 * x))
    order = np.argsort(-time)
    with pm.Model() as model:
        X = by.Data("x", x[order], dims="row")
        event = by.Data("event", (time < 2)[order].astype(float), dims="row")
        b = pm.Normal("b", 0, 2)
        risk = pt.log(pt.cumsum(pt.exp(b * X)))
        pm.Potential("o", event * (b * X - risk), dims="row")
    return model


def stick_breaking() -> pm.Model:
    """A mixture with weights of a stick-breaking process, fixed places and one spread."""
    g = rng(24)
    y = g.choice([-3.0, 0.0, 3.0], p=[0.5, 0.3, 0.2], size=150) + g.normal(0, 0.7, 150)
    with pm.Model() as model:
        Y = by.Data("y", y, dims="row")
        w = pm.StickBreakingWeights("w", alpha=2.0, K=3)
        mu = pm.Normal("mu", [-3, 0, 3, 5], 0.5)
        parts = pm.Normal.dist(mu, pm.HalfNormal("s", 1))
        pm.Mixture("o", w, parts, observed=Y, dims="row")
    return model


def rounded() -> pm.Model:
    """A custom distribution: a normal that was rounded to whole numbers."""
    g = rng(25)
    y = np.round(g.normal(3, 1.5, 100)).astype(int)

    def logp(value, mu, sigma):  # type: ignore[no-untyped-def]
        normal = pm.Normal.dist(mu, sigma)
        return pm.math.logdiffexp(pm.logcdf(normal, value + 0.5), pm.logcdf(normal, value - 0.5))

    def random(mu, sigma, rng=None, size=None):  # type: ignore[no-untyped-def]
        return np.round(rng.normal(mu, sigma, size=size)).astype(int)

    with pm.Model() as model:
        Y = by.Data("y", y, dims="row")
        mu, s = pm.Normal("mu", 0, 5), pm.HalfNormal("s", 3)
        pm.CustomDist("o", mu, s, logp=logp, random=random, dtype="int64", observed=Y, dims="row")
    return model
