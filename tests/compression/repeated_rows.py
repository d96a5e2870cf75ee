"""Models of rows that repeat, of many kinds, for the tests of compression and of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm

import bayou as by
from bayou.models.plain.plain_model import read_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

type Table = dict[str, NDArray[Any]]


def make_rows(seed: int, num_rows: int, num_distinct: int) -> Table:
    """Rows of numbers, counts, shares and categories, of which few are distinct."""
    generator = np.random.default_rng(seed)
    distinct = {
        "x": np.round(generator.normal(size=num_distinct), 1),
        "z": np.round(generator.normal(size=(num_distinct, 2)), 1),
        "group": generator.integers(0, 4, num_distinct),
        "item": generator.integers(0, 3, num_distinct),
        "real": np.round(generator.normal(size=num_distinct), 1),
        "count": generator.poisson(2, num_distinct),
        "binary": generator.integers(0, 2, num_distinct),
        "level": generator.integers(0, 3, num_distinct),
        "positive": np.round(generator.gamma(2, size=num_distinct), 1) + 0.1,
        "share": np.round(generator.uniform(0.1, 0.9, size=num_distinct), 1),
        "several": generator.multinomial(5, [0.2, 0.3, 0.5], size=num_distinct),
        "pair": np.round(generator.normal(size=(num_distinct, 2)), 1),
        "is_event": generator.random(num_distinct) < 0.5,
    }
    rows = generator.integers(0, num_distinct, num_rows)
    return {name: values[rows] for name, values in distinct.items()}


def model_of(
    build: Callable[[Mapping[str, Any]], None], table: Table, dims: bool = True
) -> pm.Model:
    """Return a model of a builder, whose containers have the rows of a table."""
    coords = {"group": range(4), "item": range(3), "column": range(2), "part": range(3)}
    with pm.Model(coords=coords) as model:
        build(Containers(table))
    return read_model(model)


class Containers(dict[str, Any]):
    """Containers of the rows that are asked for."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: str) -> Any:
        values = self._table[name]
        others = [{2: "column", 3: "part"}[length] for length in values.shape[1:]]
        self[name] = by.Data(f"{name}_of_row", values, dims=("row", *others))
        return self[name]


def _slopes() -> tuple[Any, Any]:
    return pm.Normal("intercept"), pm.Normal("slope")


def _linear(data: Mapping[str, Any]) -> Any:
    intercept, slope = _slopes()
    return intercept + slope * data["x"]


def normal(data: Mapping[str, Any]) -> None:
    pm.Normal("y", _linear(data), pm.HalfNormal("sigma"), observed=data["real"], dims="row")


def several_columns(data: Mapping[str, Any]) -> None:
    slopes = pm.Normal("slopes", dims="column")
    pm.Normal("y", data["z"] @ slopes, 1, observed=data["real"], dims="row")


def student_t(data: Mapping[str, Any]) -> None:
    pm.StudentT("y", 4.0, mu=_linear(data), sigma=1, observed=data["real"], dims="row")


def logistic(data: Mapping[str, Any]) -> None:
    pm.Bernoulli("y", logit_p=_linear(data), observed=data["binary"], dims="row")


def poisson(data: Mapping[str, Any]) -> None:
    pm.Poisson("y", pm.math.exp(_linear(data)), observed=data["count"], dims="row")


def negative_binomial(data: Mapping[str, Any]) -> None:
    mean, alpha = pm.math.exp(_linear(data)), pm.HalfNormal("alpha")
    pm.NegativeBinomial("y", mean, alpha, observed=data["count"], dims="row")


def zero_inflated(data: Mapping[str, Any]) -> None:
    mean, psi = pm.math.exp(_linear(data)), pm.Beta("psi", 2, 2)
    pm.ZeroInflatedPoisson("y", psi, mean, observed=data["count"], dims="row")


def binomial(data: Mapping[str, Any]) -> None:
    trials = data["count"] + 3
    pm.Binomial("y", trials, logit_p=_linear(data), observed=data["count"], dims="row")


def gamma(data: Mapping[str, Any]) -> None:
    mean = pm.math.exp(_linear(data))
    pm.Gamma("y", mu=mean, sigma=mean / 2, observed=data["positive"], dims="row")


def beta(data: Mapping[str, Any]) -> None:
    mean, nu = pm.math.sigmoid(_linear(data)), 2 + pm.HalfNormal("nu")
    pm.Beta("y", mu=mean, nu=nu, observed=data["share"], dims="row")


def hierarchy(data: Mapping[str, Any]) -> None:
    effects = pm.Normal("effects", 0, pm.HalfNormal("tau"), dims="group")
    mean = effects[data["group"]] + _linear(data)
    pm.Normal("y", mean, 1, observed=data["real"], dims="row")


def item_response(data: Mapping[str, Any]) -> None:
    ability, difficulty = pm.Normal("ability", dims="group"), pm.Normal("difficulty", dims="item")
    score = ability[data["group"]] - difficulty[data["item"]]
    pm.Bernoulli("y", logit_p=score, observed=data["binary"], dims="row")


def ordinal(data: Mapping[str, Any]) -> None:
    cutpoints = pm.Normal("cutpoints", [-1, 1], transform=pm.distributions.transforms.ordered)
    pm.OrderedLogistic("y", _linear(data), cutpoints, observed=data["level"], dims="row")


def categorical(data: Mapping[str, Any]) -> None:
    score = data["x"][:, None] * pm.Normal("slopes", shape=3)
    pm.Categorical("y", logit_p=score, observed=data["level"], dims="row")


def multinomial(data: Mapping[str, Any]) -> None:
    score = data["x"][:, None] * pm.Normal("slopes", shape=3)
    shares = pm.math.softmax(score, axis=-1)
    pm.Multinomial("y", 5, shares, observed=data["several"], dims=("row", "part"))


def mixture(data: Mapping[str, Any]) -> None:
    means = pm.Normal("means", [-1, 1])
    pm.NormalMixture("y", [0.4, 0.6], means, 1, observed=data["real"], dims="row")


def multivariate(data: Mapping[str, Any]) -> None:
    mean = pm.Normal("mean", dims="column")
    covariance = np.array([[1.0, 0.5], [0.5, 2.0]])
    pm.MvNormal("y", mean, covariance, observed=data["pair"], dims=("row", "column"))


def two_dims(data: Mapping[str, Any]) -> None:
    mean = _linear(data)[:, None] + pm.Normal("offset", dims="column")
    pm.Normal("y", mean, 1, observed=data["pair"], dims=("row", "column"))


def several_likelihoods(data: Mapping[str, Any]) -> None:
    mean = _linear(data)
    pm.Normal("y", mean, 1, observed=data["real"], dims="row")
    pm.Poisson("n", pm.math.exp(mean), observed=data["count"], dims="row")


def survival(data: Mapping[str, Any]) -> None:
    rate = pm.math.exp(_linear(data))
    density = pm.math.switch(data["is_event"], pm.math.log(rate), 0) - rate * data["positive"]
    pm.Potential("survival", density, dims="row")


def censored(data: Mapping[str, Any]) -> None:
    times = pm.Weibull.dist(1.5, pm.math.exp(_linear(data)))
    pm.Censored("y", times, None, 2.0, observed=pm.math.minimum(data["positive"], 2.0), dims="row")


def scaled(data: Mapping[str, Any]) -> None:
    # The number of all rows, as minibatches of PyMC need it.
    total_size = len(data["real"].get_value())
    mean = _linear(data)
    pm.Normal("y", mean, 1, observed=data["real"], dims="row", total_size=total_size)


MODELS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    build.__name__: build
    for build in (
        normal, several_columns, student_t, logistic, poisson, negative_binomial, zero_inflated,
        binomial, gamma, beta, hierarchy, item_response, ordinal, categorical, multinomial, mixture,
        multivariate, two_dims, several_likelihoods, survival, scaled,
    )
}  # fmt: skip


def whole_numbers(data: Mapping[str, Any]) -> None:
    value = by.Data("whole", 10 * data["count"].get_value(), dims="row")
    pm.Normal("y", _linear(data), pm.HalfNormal("sigma"), observed=value, dims="row")


def log_of_values(data: Mapping[str, Any]) -> None:
    value = pm.math.log(data["positive"])
    pm.Normal("y", _linear(data), pm.HalfNormal("sigma"), observed=value, dims="row")


def scaled_axes(data: Mapping[str, Any]) -> None:
    total_size = (len(data["pair"].get_value()), 6)
    mean = pm.Normal("mean", dims="column")
    pm.Normal("y", mean, 1, observed=data["pair"], dims=("row", "column"), total_size=total_size)


def as_many_levels(data: Mapping[str, Any]) -> None:
    # Priors of as many levels as there are rows, by chance.
    centre = by.Data("centre", np.linspace(0, 1, len(data["group"].get_value())), dims="level")
    levels = pm.Normal("levels", centre, 1, dims="level")
    pm.Normal("y", levels[data["group"]], 1, observed=data["real"], dims="row")


def signed_zeros(data: Mapping[str, Any]) -> None:
    zero = by.Data("zero", np.where(data["binary"].get_value() == 1, 0.0, -0.0), dims="row")
    mean = pm.Normal("mean") + pm.math.switch(1 / zero > 0, 1, 2)
    pm.Normal("y", mean, 1, observed=data["real"], dims="row")


def scales_by_weights(data: Mapping[str, Any]) -> None:
    scale = pm.HalfNormal("sigma") / pm.math.sqrt(data["positive"])
    pm.Normal("y", pm.Normal("mean"), scale, observed=data["real"], dims="row")


def lookup(data: Mapping[str, Any]) -> None:
    county = by.Data("county", np.array([1, 0, 1, 0]), dims="group")
    effects = pm.Normal("effects", shape=2)
    pm.Normal("y", effects[county[data["group"]]], 1, observed=data["real"], dims="row")


def covariances(data: Mapping[str, Any]) -> None:
    factor, _, _ = pm.LKJCholeskyCov("factor", n=2, eta=2, sd_dist=pm.Exponential.dist(1))
    mean = pm.Normal("mean", shape=2)
    pm.MvNormal("y", mean, chol=factor, observed=data["pair"], dims=("row", "column"))


def compositions(data: Mapping[str, Any]) -> None:
    shares = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])[data["binary"].get_value()]
    observed = by.Data("shares", shares, dims=("row", "part"))
    concentration = 1 + pm.HalfNormal("concentration", shape=3)
    pm.Dirichlet("y", concentration, observed=observed, dims=("row", "part"))


def hurdle(data: Mapping[str, Any]) -> None:
    psi, rate = pm.Beta("psi", 2, 2), pm.math.exp(_linear(data))
    pm.HurdlePoisson("y", psi, rate, observed=data["count"], dims="row")


def overdispersed_counts(data: Mapping[str, Any]) -> None:
    alpha, beta = pm.HalfNormal("alpha"), pm.HalfNormal("beta")
    trials = data["count"] + 2
    pm.BetaBinomial("y", alpha, beta, trials, observed=data["count"], dims="row")


def repeated_counts(data: Mapping[str, Any]) -> None:
    concentration = 0.1 + pm.HalfNormal("concentration", shape=3)
    observed = data["several"]
    pm.DirichletMultinomial("y", 5, concentration, observed=observed, dims=("row", "part"))


def probit_levels(data: Mapping[str, Any]) -> None:
    cutpoints = pm.Normal("cutpoints", [-1, 1], transform=pm.distributions.transforms.ordered)
    pm.OrderedProbit("y", _linear(data), cutpoints, observed=data["level"], dims="row")


def discrimination(data: Mapping[str, Any]) -> None:
    ability, difficulty = pm.Normal("ability", dims="group"), pm.Normal("difficulty", dims="item")
    slope = pm.LogNormal("slope", dims="item")[data["item"]]
    score = slope * (ability[data["group"]] - difficulty[data["item"]])
    pm.Bernoulli("y", logit_p=score, observed=data["is_event"], dims="row")


def interval_censored(data: Mapping[str, Any]) -> None:
    lower = by.Data("lower", np.full(len(data["real"].get_value()), -0.5), dims="row")
    values = pm.Normal.dist(_linear(data), pm.HalfNormal("sigma"))
    observed = pm.math.maximum(data["real"], lower)
    pm.Censored("y", values, lower, None, observed=observed, dims="row")


def truncated(data: Mapping[str, Any]) -> None:
    bound = by.Data("bound", data["real"].get_value() - 1, dims="row")
    values = pm.Normal.dist(pm.Normal("mean"), 1)
    pm.Truncated("y", values, lower=bound, observed=data["real"], dims="row")


def penalty(data: Mapping[str, Any]) -> None:
    mean = _linear(data)
    pm.Normal("y", mean, 1, observed=data["real"], dims="row")
    pm.Potential("penalty", -(mean**2))


def custom(data: Mapping[str, Any]) -> None:
    def density(value: Any, rate: Any, is_event: Any) -> Any:
        return is_event * pm.math.log(rate) - rate * value

    parts = pm.HalfNormal("rate"), data["is_event"]
    pm.CustomDist("y", *parts, logp=density, observed=data["positive"], dims="row")


def constant_design(data: Mapping[str, Any]) -> None:
    # As libraries of formulas write models.
    slopes = pm.Normal("slopes", shape=2)
    pm.Normal("y", data["z"].get_value() @ slopes, 1, observed=data["real"].get_value())


def process(data: Mapping[str, Any]) -> None:
    basis = pm.gp.HSGP(m=[4], c=2.0, cov_func=pm.gp.cov.ExpQuad(1, 1.0))
    mean = basis.prior("mean", X=data["x"][:, None], dims="row")
    pm.Poisson("y", pm.math.exp(mean), observed=data["count"], dims="row")


def small_dtypes(data: Mapping[str, Any]) -> None:
    counts = by.Data("counts", data["count"].get_value().astype(np.int8), dims="row")
    x = by.Data("small_x", data["x"].get_value().astype(np.float32), dims="row")
    pm.Poisson("y", pm.math.exp(pm.Normal("slope") * x), observed=counts, dims="row")


ODD_MODELS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    build.__name__: build
    for build in (
        whole_numbers, log_of_values, scaled_axes, as_many_levels, signed_zeros, scales_by_weights,
        lookup, covariances, compositions, hurdle, overdispersed_counts, repeated_counts,
        probit_levels, discrimination, interval_censored, truncated, penalty, custom,
        constant_design, process, small_dtypes,
    )
}  # fmt: skip
