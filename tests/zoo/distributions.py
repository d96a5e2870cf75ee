"""The distributions of PyMC, each as the likelihood of a container, and where it can be as a prior.

One line each: the variable that is made, and the values that it is observed at, edges of the
support included. `REFUSED` says which calls refuse which of them, and with what words.
"""

# ruff: noqa: E501 (a line each)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    # Makes the observed variable "o"; the argument is what it is observed at and its dims.
    type Likelihood = Callable[[dict[str, Any]], TensorVariable]

REALS = np.array([-3.0, -0.4, 0.0, 0.7, 2.5])
POSITIVE = np.array([0.05, 0.4, 1.0, 2.0, 5.0])
WITH_ZERO = np.array([0.0, 0.4, 1.0, 2.0, 5.0])
UNIT = np.array([0.01, 0.3, 0.5, 0.8, 0.99])
COUNTS = np.array([0, 1, 2, 3, 7])
FROM_ONE = np.array([1, 1, 2, 3, 7])
BINARY = np.array([0, 1, 1, 0, 1])
LEVELS = np.array([0, 1, 2, 2, 1])
SIMPLEX = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2], [0.05, 0.05, 0.9]])
TABLE = np.array([[3, 1, 1], [0, 5, 0], [2, 2, 1], [1, 0, 4]])
VECTORS = np.random.default_rng(0).normal(size=(4, 3))
SERIES = np.random.default_rng(1).normal(size=6).cumsum()
COVARIANCE = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, 0.1], [0.0, 0.1, 1.0]])
CORRELATION = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.1], [0.0, 0.1, 1.0]])
NEIGHBORS = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
GRID = np.linspace(0, 6, 50)


def real(name: str = "a") -> TensorVariable:
    return pm.Normal(name)


def positive(name: str = "b") -> TensorVariable:
    return pm.HalfNormal(name)


def unit(name: str = "p") -> TensorVariable:
    return pm.Beta(name, 2, 2)


def weights(name: str = "w") -> TensorVariable:
    return pm.Dirichlet(name, np.ones(3))


def cutpoints() -> TensorVariable:
    return pm.Normal("cuts", [-0.5, 0.5], 0.1, transform=pm.distributions.transforms.ordered)


def simulated(rng: np.random.Generator, mean: Any, size: Any = None) -> NDArray[Any]:
    return rng.normal(mean, 1, size=size)


# By name: the likelihood, and the values. Rows are independent.
ROWS: dict[str, tuple[Likelihood, NDArray[Any]]] = {
    "AsymmetricLaplace": (lambda o: pm.AsymmetricLaplace("o", kappa=1.5, mu=real(), b=positive(), **o), REALS),
    "Bernoulli": (lambda o: pm.Bernoulli("o", unit(), **o), BINARY),
    "Bernoulli of a logit": (lambda o: pm.Bernoulli("o", logit_p=300 * real(), **o), BINARY),
    "Beta": (lambda o: pm.Beta("o", positive("a"), positive("b"), **o), UNIT),
    "BetaBinomial": (lambda o: pm.BetaBinomial("o", alpha=positive("a"), beta=positive("b"), n=7, **o), COUNTS),
    "Binomial": (lambda o: pm.Binomial("o", n=7, p=unit(), **o), COUNTS),
    "Categorical": (lambda o: pm.Categorical("o", weights(), **o), LEVELS),
    "Categorical of logits": (lambda o: pm.Categorical("o", logit_p=pm.Normal("l", shape=3), **o), LEVELS),
    "Cauchy": (lambda o: pm.Cauchy("o", real(), positive(), **o), REALS),
    "Censored normal": (lambda o: pm.Censored("o", pm.Normal.dist(real(), positive()), lower=-3.0, upper=2.5, **o), REALS),
    "Censored exponential": (lambda o: pm.Censored("o", pm.Exponential.dist(positive()), lower=None, upper=5.0, **o), POSITIVE),
    "Censored gamma": (lambda o: pm.Censored("o", pm.Gamma.dist(positive("a"), positive("b")), lower=None, upper=5.0, **o), POSITIVE),
    "Censored Weibull": (lambda o: pm.Censored("o", pm.Weibull.dist(positive("a"), positive("b")), lower=None, upper=5.0, **o), POSITIVE),
    "Censored Poisson": (lambda o: pm.Censored("o", pm.Poisson.dist(positive()), lower=None, upper=7, **o), COUNTS),
    "ChiSquared": (lambda o: pm.ChiSquared("o", positive(), **o), POSITIVE),
    "CustomDist": (lambda o: pm.CustomDist("o", real(), logp=lambda value, mu: -((value - mu) ** 4), **o), REALS),
    "CustomDist of a graph": (lambda o: pm.CustomDist("o", real(), dist=lambda mu, size: pm.Normal.dist(mu, 1, size=size) ** 3, **o), REALS + 0.1),
    "DensityDist": (lambda o: pm.DensityDist("o", real(), logp=lambda value, mu: -((value - mu) ** 2), **o), REALS),
    "DiracDelta": (lambda o: pm.DiracDelta("o", 0.0, **o) + real(), np.zeros(5)),
    "Dirichlet": (lambda o: pm.Dirichlet("o", pm.HalfNormal("alpha", 2, shape=3), **o), SIMPLEX),
    "DirichletMultinomial": (lambda o: pm.DirichletMultinomial("o", n=5, a=pm.HalfNormal("alpha", 2, shape=3), **o), TABLE),
    "DiscreteUniform": (lambda o: pm.DiscreteUniform("o", 0, 7, **o) + real(), COUNTS),
    "DiscreteWeibull": (lambda o: pm.DiscreteWeibull("o", unit(), positive(), **o), COUNTS),
    "ExGaussian": (lambda o: pm.ExGaussian("o", mu=real(), sigma=positive("s"), nu=positive("n"), **o), REALS),
    "Exponential": (lambda o: pm.Exponential("o", positive(), **o), WITH_ZERO),
    "Gamma": (lambda o: pm.Gamma("o", positive("a"), positive("b"), **o), POSITIVE),
    "Geometric": (lambda o: pm.Geometric("o", unit(), **o), FROM_ONE),
    "Gumbel": (lambda o: pm.Gumbel("o", real(), positive(), **o), REALS),
    "HalfCauchy": (lambda o: pm.HalfCauchy("o", positive(), **o), WITH_ZERO),
    "HalfNormal": (lambda o: pm.HalfNormal("o", positive(), **o), WITH_ZERO),
    "HalfStudentT": (lambda o: pm.HalfStudentT("o", positive("n"), positive("s"), **o), WITH_ZERO),
    "HurdleGamma": (lambda o: pm.HurdleGamma("o", unit(), positive("a"), positive("b"), **o), WITH_ZERO),
    "HurdleLogNormal": (lambda o: pm.HurdleLogNormal("o", unit(), real(), positive(), **o), WITH_ZERO),
    "HurdleNegativeBinomial": (lambda o: pm.HurdleNegativeBinomial("o", unit(), positive("m"), positive("a"), **o), COUNTS),
    "HurdlePoisson": (lambda o: pm.HurdlePoisson("o", unit(), positive(), **o), COUNTS),
    "HyperGeometric": (lambda o: pm.HyperGeometric("o", N=20, k=10, n=8, **o) + real(), COUNTS),
    "Interpolated": (lambda o: pm.Interpolated("o", GRID, np.exp(-GRID), **o) + real(), POSITIVE),
    "InverseGamma": (lambda o: pm.InverseGamma("o", positive("a"), positive("b"), **o), POSITIVE),
    "Kumaraswamy": (lambda o: pm.Kumaraswamy("o", positive("a"), positive("b"), **o), UNIT),
    "Laplace": (lambda o: pm.Laplace("o", real(), positive(), **o), REALS),
    "LogNormal": (lambda o: pm.LogNormal("o", real(), positive(), **o), POSITIVE),
    "Logistic": (lambda o: pm.Logistic("o", real(), positive(), **o), REALS),
    "LogitNormal": (lambda o: pm.LogitNormal("o", real(), positive(), **o), UNIT),
    "Mixture": (lambda o: pm.Mixture("o", weights(), [pm.Normal.dist(real()), pm.Normal.dist(1, positive()), pm.Laplace.dist(0, 2)], **o), REALS),
    "Moyal": (lambda o: pm.Moyal("o", real(), positive(), **o), REALS),
    "Multinomial": (lambda o: pm.Multinomial("o", n=5, p=weights(), **o), TABLE),
    "MvNormal": (lambda o: pm.MvNormal("o", pm.Normal("mu", shape=3), COVARIANCE, **o), VECTORS),
    "MvNormal of a Cholesky factor": (lambda o: pm.MvNormal("o", np.zeros(3), chol=pm.LKJCholeskyCov("chol", n=3, eta=2, sd_dist=pm.HalfNormal.dist(1, shape=3))[0], **o), VECTORS),
    "MvStudentT": (lambda o: pm.MvStudentT("o", nu=4, mu=pm.Normal("mu", shape=3), scale=COVARIANCE, **o), VECTORS),
    "NegativeBinomial": (lambda o: pm.NegativeBinomial("o", mu=positive("m"), alpha=positive("a"), **o), COUNTS),
    "NegativeBinomial of n and p": (lambda o: pm.NegativeBinomial("o", n=positive("m"), p=unit(), **o), COUNTS),
    "NegativeBinomial with mean 0": (lambda o: pm.NegativeBinomial("o", mu=positive("m") * np.array([0.0, 1, 2, 3, 4]), alpha=positive("a"), **o), COUNTS),
    "Normal": (lambda o: pm.Normal("o", real(), positive(), **o), REALS),
    "NormalMixture": (lambda o: pm.NormalMixture("o", weights(), pm.Normal("mu", shape=3), positive(), **o), REALS),
    "OrderedLogistic": (lambda o: pm.OrderedLogistic("o", eta=real(), cutpoints=cutpoints(), compute_p=False, **o), LEVELS),
    "OrderedMultinomial": (lambda o: pm.OrderedMultinomial("o", eta=real(), cutpoints=cutpoints(), n=5, compute_p=False, **o), TABLE),
    "OrderedProbit": (lambda o: pm.OrderedProbit("o", eta=real(), cutpoints=cutpoints(), sigma=1, compute_p=False, **o), LEVELS),
    "Pareto": (lambda o: pm.Pareto("o", positive(), 0.05, **o), POSITIVE),
    "Poisson": (lambda o: pm.Poisson("o", positive(), **o), COUNTS),
    "Poisson with mean 0": (lambda o: pm.Poisson("o", positive() * np.array([0.0, 1, 2, 3, 4]), **o), COUNTS),
    "Potential": (lambda o: pm.Potential("o", -((o["observed"] - real()) ** 4), dims=o["dims"]), REALS),
    "Rice": (lambda o: pm.Rice("o", nu=positive("n"), sigma=positive("s"), **o), POSITIVE),
    "SkewNormal": (lambda o: pm.SkewNormal("o", mu=real("m"), sigma=positive(), alpha=real("a"), **o), REALS),
    "SkewStudentT": (lambda o: pm.SkewStudentT("o", a=positive("a"), b=positive("b"), mu=real("m"), sigma=positive("s"), **o), REALS),
    "StudentT": (lambda o: pm.StudentT("o", nu=positive("n"), mu=real(), sigma=positive("s"), **o), REALS),
    "Triangular": (lambda o: pm.Triangular("o", lower=-4, c=real(), upper=4, **o), REALS),
    "Truncated Poisson": (lambda o: pm.Truncated("o", pm.Poisson.dist(positive()), lower=1, **o), FROM_ONE),
    "Truncated gamma": (lambda o: pm.Truncated("o", pm.Gamma.dist(positive("a"), positive("b")), upper=6.0, **o), POSITIVE),
    "TruncatedNormal": (lambda o: pm.TruncatedNormal("o", real(), positive(), lower=-3, upper=3, **o), REALS),
    "Uniform": (lambda o: pm.Uniform("o", -4, 4 + positive(), **o), REALS),
    "VonMises": (lambda o: pm.VonMises("o", real(), positive(), **o), REALS),
    "Wald": (lambda o: pm.Wald("o", mu=positive("m"), lam=positive("l"), **o), POSITIVE),
    "Weibull": (lambda o: pm.Weibull("o", positive("a"), positive("b"), **o), POSITIVE),
    "ZeroInflatedBinomial": (lambda o: pm.ZeroInflatedBinomial("o", psi=unit("q"), n=7, p=unit(), **o), COUNTS),
    "ZeroInflatedNegativeBinomial": (lambda o: pm.ZeroInflatedNegativeBinomial("o", psi=unit("q"), mu=positive("m"), alpha=positive("a"), **o), COUNTS),
    "ZeroInflatedPoisson": (lambda o: pm.ZeroInflatedPoisson("o", psi=unit("q"), mu=positive(), **o), COUNTS),
    "ZeroInflatedPoisson with mean 0": (lambda o: pm.ZeroInflatedPoisson("o", psi=unit("q"), mu=positive() * np.array([0.0, 1, 2, 3, 4]), **o), COUNTS),
}  # fmt: skip

# Joint distributions of all values: no rows that could come in batches.
JOINT: dict[str, tuple[Likelihood, NDArray[Any]]] = {
    "AR": (lambda o: pm.AR("o", rho=pm.Normal("rho", 0, 0.5, shape=2), sigma=positive(), init_dist=pm.Normal.dist(0, 2, shape=1), constant=True, **o), SERIES),
    "CAR": (lambda o: pm.CAR("o", mu=real() * np.ones(4), W=NEIGHBORS, alpha=unit(), tau=positive(), **o), VECTORS[:, 0]),
    "EulerMaruyama": (lambda o: pm.EulerMaruyama("o", dt=0.1, sde_fn=lambda x, theta: (-theta * x, 1.0), sde_pars=(positive(),), init_dist=pm.Normal.dist(0, 2), **o), SERIES),
    "GARCH11": (lambda o: pm.GARCH11("o", omega=positive("w"), alpha_1=0.5 * unit("a"), beta_1=0.5 * unit("b"), initial_vol=1.0, **o), SERIES),
    "GaussianRandomWalk": (lambda o: pm.GaussianRandomWalk("o", mu=real(), sigma=positive(), init_dist=pm.Normal.dist(0, 2), **o), SERIES),
    "ICAR": (lambda o: pm.ICAR("o", W=NEIGHBORS, sigma=positive(), **o), VECTORS[:, 0] - VECTORS[:, 0].mean()),
    "KroneckerNormal": (lambda o: pm.KroneckerNormal("o", mu=np.zeros(6), covs=[np.eye(2) * (1 + positive()), COVARIANCE], **o), SERIES),
    "MatrixNormal": (lambda o: pm.MatrixNormal("o", mu=np.zeros((4, 3)), rowcov=np.eye(4), colcov=COVARIANCE * positive(), **o), VECTORS),
    "MvGaussianRandomWalk": (lambda o: pm.MvGaussianRandomWalk("o", mu=pm.Normal("mu", shape=3), cov=COVARIANCE, init_dist=pm.MvNormal.dist(np.zeros(3), COVARIANCE), **o), VECTORS),
    "MvStudentTRandomWalk": (lambda o: pm.MvStudentTRandomWalk("o", nu=4, mu=pm.Normal("mu", shape=3), scale=COVARIANCE, init_dist=pm.MvNormal.dist(np.zeros(3), COVARIANCE), **o), VECTORS),
    "RandomWalk": (lambda o: pm.RandomWalk("o", init_dist=pm.Normal.dist(0, 2), innovation_dist=pm.Laplace.dist(real(), positive()), **o), SERIES),
    "Wishart": (lambda o: pm.Wishart("o", nu=5, V=COVARIANCE * positive(), **o), COVARIANCE),
    "LKJCorr": (lambda o: pm.LKJCorr("o", n=3, eta=positive(), **o), np.linalg.cholesky(CORRELATION)),
    "StickBreakingWeights": (lambda o: pm.StickBreakingWeights("o", alpha=positive(), K=2, **o), np.array([0.2, 0.3, 0.5])),
    "ZeroSumNormal": (lambda o: pm.ZeroSumNormal("o", sigma=positive(), **o), np.array([0.5, -1.0, 0.5])),
    "Simulator": (lambda o: pm.Simulator("o", simulated, real(), epsilon=1.0, **o), REALS),
}  # fmt: skip

# Continuous priors, with the transforms that PyMC gives them; observed is a normal around their sum.
PRIORS: dict[str, Callable[[], TensorVariable]] = {
    "AsymmetricLaplace": lambda: pm.AsymmetricLaplace("x", kappa=1.5, mu=0.3, b=2.0),
    "AR": lambda: pm.AR("x", rho=[0.3], sigma=1.0, init_dist=pm.Normal.dist(), steps=4),
    "Beta": lambda: pm.Beta("x", 2, 3, shape=2),
    "CAR": lambda: pm.CAR("x", mu=np.zeros(4), W=NEIGHBORS, alpha=0.5, tau=2.0),
    "Cauchy": lambda: pm.Cauchy("x", 0, 2),
    "Censored": lambda: pm.Censored("x", pm.Normal.dist(), lower=-1, upper=None),
    "ChiSquared": lambda: pm.ChiSquared("x", 3),
    "CustomDist": lambda: pm.CustomDist("x", 1.0, logp=lambda value, mu: -((value - mu) ** 4)),
    "Dirichlet": lambda: pm.Dirichlet("x", [1.0, 2.0, 3.0]),
    "ExGaussian": lambda: pm.ExGaussian("x", mu=0, sigma=1, nu=2),
    "EulerMaruyama": lambda: pm.EulerMaruyama("x", dt=0.1, sde_fn=lambda x, theta: (-theta * x, 1.0), sde_pars=(0.5,), init_dist=pm.Normal.dist(0, 2), steps=4),
    "Exponential": lambda: pm.Exponential("x", 2.0),
    "Flat": lambda: pm.Flat("x"),
    "GARCH11": lambda: pm.GARCH11("x", omega=0.5, alpha_1=0.3, beta_1=0.3, initial_vol=1.0, steps=3),
    "Gamma": lambda: pm.Gamma("x", 2, 3),
    "GaussianRandomWalk": lambda: pm.GaussianRandomWalk("x", init_dist=pm.Normal.dist(), steps=4),
    "Gumbel": lambda: pm.Gumbel("x", 0, 1),
    "HalfCauchy": lambda: pm.HalfCauchy("x", 1),
    "HalfFlat": lambda: pm.HalfFlat("x"),
    "HalfNormal": lambda: pm.HalfNormal("x", 2),
    "HalfStudentT": lambda: pm.HalfStudentT("x", 3, 2.5),
    "ICAR": lambda: pm.ICAR("x", W=NEIGHBORS),
    "Interpolated": lambda: pm.Interpolated("x", GRID, np.exp(-GRID)),
    "InverseGamma": lambda: pm.InverseGamma("x", 3, 2),
    "KroneckerNormal": lambda: pm.KroneckerNormal("x", mu=np.zeros(6), covs=[np.eye(2), COVARIANCE]),
    "Kumaraswamy": lambda: pm.Kumaraswamy("x", 2, 3),
    "LKJCholeskyCov": lambda: pm.LKJCholeskyCov("x", n=3, eta=2, sd_dist=pm.Exponential.dist(1, shape=3), compute_corr=False),
    "LKJCorr": lambda: pm.LKJCorr("x", n=3, eta=2),
    "Laplace": lambda: pm.Laplace("x", 0, 1),
    "LogNormal": lambda: pm.LogNormal("x", 0, 1),
    "Logistic": lambda: pm.Logistic("x", 0, 1),
    "LogitNormal": lambda: pm.LogitNormal("x", 0, 1),
    "MatrixNormal": lambda: pm.MatrixNormal("x", mu=np.zeros((2, 3)), rowcov=np.eye(2), colcov=COVARIANCE),
    "Mixture": lambda: pm.Mixture("x", [0.3, 0.7], [pm.Normal.dist(-1), pm.Normal.dist(2)]),
    "Moyal": lambda: pm.Moyal("x", 0, 1),
    "MvGaussianRandomWalk": lambda: pm.MvGaussianRandomWalk("x", mu=np.zeros(3), cov=COVARIANCE, init_dist=pm.MvNormal.dist(np.zeros(3), COVARIANCE), steps=2),
    "MvNormal": lambda: pm.MvNormal("x", np.zeros(3), COVARIANCE),
    "MvStudentT": lambda: pm.MvStudentT("x", nu=4, mu=np.zeros(3), scale=COVARIANCE),
    "MvStudentTRandomWalk": lambda: pm.MvStudentTRandomWalk("x", nu=4, mu=np.zeros(3), scale=COVARIANCE, init_dist=pm.MvNormal.dist(np.zeros(3), COVARIANCE), steps=2),
    "Normal": lambda: pm.Normal("x", 0, 2, shape=(2, 2)),
    "NormalMixture": lambda: pm.NormalMixture("x", [0.3, 0.7], [-1.0, 2.0], 1.0),
    "Pareto": lambda: pm.Pareto("x", 3, 1),
    "PolyaGamma": lambda: pm.PolyaGamma("x", h=1.0, z=0.5),
    "RandomWalk": lambda: pm.RandomWalk("x", init_dist=pm.Normal.dist(0, 2), innovation_dist=pm.Laplace.dist(0, 1), steps=3),
    "Rice": lambda: pm.Rice("x", nu=1.0, sigma=1.0),
    "SkewNormal": lambda: pm.SkewNormal("x", mu=0, sigma=1, alpha=3.0),
    "SkewStudentT": lambda: pm.SkewStudentT("x", a=2.0, b=3.0, mu=0.0, sigma=1.0),
    "StickBreakingWeights": lambda: pm.StickBreakingWeights("x", alpha=2.0, K=3),
    "StudentT": lambda: pm.StudentT("x", nu=4, mu=0, sigma=1),
    "Triangular": lambda: pm.Triangular("x", lower=-1, c=0.5, upper=2),
    "Truncated": lambda: pm.Truncated("x", pm.StudentT.dist(4), lower=-1, upper=2),
    "TruncatedNormal": lambda: pm.TruncatedNormal("x", 0, 1, lower=-1, upper=2),
    "Uniform": lambda: pm.Uniform("x", -1, 2),
    "VonMises": lambda: pm.VonMises("x", 0, 2),
    "Wald": lambda: pm.Wald("x", mu=1, lam=2),
    "Weibull": lambda: pm.Weibull("x", 2, 1),
    "Wishart": lambda: pm.Wishart("x", nu=5, V=COVARIANCE, initval=COVARIANCE),
    "WishartBartlett": lambda: pm.WishartBartlett("x", COVARIANCE, 5),
    "ZeroSumNormal": lambda: pm.ZeroSumNormal("x", sigma=1.0, shape=4),
}  # fmt: skip

# What is not in the table, and why.
LEFT_OUT = {
    "Censored Student's t": "its gradients are 7e-8 from PyTensor's.",
    "Mixture of a point at 0 and a gamma": (
        "at 0 the density is right, but its gradient is NaN, in PyTensor and in JAX alike; "
        "by.fit warns. Use pm.HurdleGamma."
    ),
}
# Those that are not observed: no density, or one of no observations.
NO_LIKELIHOOD = ("Flat", "HalfFlat", "LKJCholeskyCov", "PolyaGamma", "WishartBartlett")
# Those that are no continuous priors: discrete, or with a point of positive probability, or Simulator.
NO_PRIOR = (
    "Bernoulli", "BetaBinomial", "Binomial", "Categorical", "DensityDist", "DiracDelta",
    "DirichletMultinomial", "DiscreteUniform", "DiscreteWeibull", "Geometric", "HurdleGamma",
    "HurdleLogNormal", "HurdleNegativeBinomial", "HurdlePoisson", "HyperGeometric", "Multinomial",
    "NegativeBinomial", "OrderedLogistic", "OrderedMultinomial", "OrderedProbit", "Poisson",
    "Simulator", "ZeroInflatedBinomial", "ZeroInflatedNegativeBinomial", "ZeroInflatedPoisson",
)  # fmt: skip

TABLES = {"rows": ROWS, "joint": JOINT, "prior": PRIORS}
# Those of which NUTS's machine code is compiled: one for each kind of computation.
NUTS = (
    ("rows", "Bernoulli of a logit"), ("rows", "Censored normal"), ("rows", "HurdlePoisson"),
    ("rows", "NegativeBinomial with mean 0"), ("rows", "OrderedLogistic"),
    ("rows", "TruncatedNormal"), ("joint", "GaussianRandomWalk"), ("joint", "ICAR"),
    ("prior", "Dirichlet"), ("prior", "LKJCholeskyCov"), ("prior", "ZeroSumNormal"),
)  # fmt: skip
# Likelihoods that are also fitted, in batches too, verified and predicted from.
ALL_CALLS = (
    "Bernoulli of a logit", "Beta", "Censored normal", "HurdlePoisson", "Multinomial",
    "NegativeBinomial", "Normal", "StudentT", "ZeroInflatedPoisson with mean 0",
)  # fmt: skip
# PyMC holds whole numbers as constants of 8 bits, and computes with these in single precision.
LOOSE = {("rows", "DiscreteUniform"): 1e-6}
# By kind, name and call: the words of the refusal.
NO_DRAWS = "`var_names` must be of variables that can be drawn"
REFUSED = {
    ("rows", "CustomDist", "predict"): NO_DRAWS,
    ("rows", "DensityDist", "predict"): NO_DRAWS,
    ("joint", "ICAR", "predict"): NO_DRAWS,
    (
        "rows",
        "Potential",
        "predict",
    ): "must have an observed variable or a deterministic to predict",
    ("joint", "Simulator", "density"): r"must have a density, got \['o'\], which pm.Simulator",
    (
        "prior",
        "PolyaGamma",
        "density",
    ): "must be of operations that JAX can compile, got one in 'x'",
}
