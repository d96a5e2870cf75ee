"""Models with odd data, names and shapes: PyMC's density, batches or a refusal, and predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.density.build import compile_program

pytestmark = pytest.mark.slow
QUIET: dict[str, Any] = {"random_seed": 1, "progressbar": False}
RNG = np.random.default_rng(0)
Y = RNG.normal(size=30)
JOINT = "has one distribution over all rows"
IMPUTED = "must be left out where missing values are imputed"


@dataclass(frozen=True)
class Unusual:
    """A model and what comes of it.

    Attributes
    ----------
    write : callable
        Writes it into the model of the context.
    new : dict or None
        New values for predictions, of two rows; None if it takes none.
    shape : tuple of int
        The shape of one draw of the prediction of "o".
    batches : str or None
        The words of the refusal of batches; None if they work.
    """

    write: Callable[[], object]
    new: dict[str, Any] | None = None
    shape: tuple[int, ...] = (2,)
    batches: str | None = None


def row(name: str, values: Any, *dims: str | None) -> Any:
    return by.Data(name, values, dims=("row", *dims))


def observe_y(mean: Any, scale: Any = 1.0) -> None:
    pm.Normal("o", mean, scale, observed=row("y", Y), dims="row")


def bytes_and_counts() -> None:
    x = RNG.integers(-3, 4, 30).astype("int8")
    logit = pm.Normal("b") * row("x", x) ** 3
    pm.Bernoulli("o", logit_p=logit, observed=row("y", (x > 0).astype("uint8")), dims="row")


def booleans() -> None:
    x, b = row("x", Y > 0), pm.Normal("b", shape=2)
    observe_y(pt.switch(x, b[0], b[1]))


def two_outcomes_of_other_shapes() -> None:
    x, b = row("x", Y), pm.Normal("b")
    pm.Normal("o", b * x, 1, observed=row("y", Y), dims="row")
    counts = row("z", RNG.poisson(2, (30, 3)), None)
    pm.Poisson("counts", pm.math.exp(b * x)[:, None] * np.ones(3), observed=counts)
    pm.Potential("penalty", -(b**2))


def dims_of_one_element() -> None:
    pm.modelcontext(None).add_coord("k", ["only"])
    x = row("x", Y[:, None], "k")
    observe_y(x @ pm.Normal("b", dims="k"), pm.HalfNormal("s", dims="k")[0])


def dims_of_no_element() -> None:
    pm.modelcontext(None).add_coord("k", [])
    x = row("x", np.zeros((30, 0)), "k")
    observe_y(pm.Normal("a") + x @ pm.Normal("b", dims="k"))


def dates_as_coords() -> None:
    pm.modelcontext(None).add_coord("row", pd.date_range("2020-01-01", periods=30))
    observe_y(pm.Deterministic("mean", pm.Normal("b") * row("x", Y), dims="row"))


def nested_models() -> None:
    x = row("x", Y)
    with pm.Model(name="inner"):
        b, scale = pm.Normal("b"), by.Data("scale", 2.0)
    observe_y(b * x * scale)


def names_in_other_letters() -> None:
    pm.modelcontext(None).add_coord("größe/π", ["ä", "ö"])
    x = row("вход x", RNG.normal(size=(30, 2)), "größe/π")
    observe_y(x @ pm.Normal("β₁", dims="größe/π"))


def deterministics_of_data() -> None:
    x = row("x", Y)
    z = pm.Deterministic("z", (x - 1) * 2, dims="row")
    pm.Deterministic("total", x.sum())
    observe_y(z * pm.Normal("b"))


def masked_outcomes() -> None:
    y = np.ma.masked_array(Y, mask=np.arange(30) % 5 == 0)
    pm.Normal("o", pm.Normal("b"), 1, observed=y)


def masked_matrix() -> None:
    y = RNG.normal(size=(10, 3))
    y[3, 1] = y[9, 2] = np.nan
    pm.Normal("o", pm.Normal("b", shape=3), 1, observed=y)


def rows_on_the_third_axis() -> None:
    model = pm.modelcontext(None)
    model.add_coord("a", range(2))
    model.add_coord("c", range(3))
    dims = ("a", "c", "row")
    x = by.Data("x", RNG.normal(size=(2, 3, 30)), dims=dims)
    y = by.Data("y", RNG.normal(size=(2, 3, 30)), dims=dims)
    effect = pm.Normal("effect", dims=("a", "c"))
    pm.Normal("o", effect[:, :, None] * x, 1, observed=y, dims=dims)


def data_without_axes() -> None:
    scale, n = by.Data("scale", 2.0), by.Data("n", 3)
    logit = pm.Normal("b", 0, scale) * row("x", Y)
    y = row("y", RNG.integers(0, 4, 30))
    pm.Binomial("o", n=n, logit_p=logit, observed=y, dims="row")


def shared_variables_and_arrays() -> None:
    x = pytensor.shared(Y, name="shared")
    pm.Normal("o", pm.Normal("b") * x + np.arange(30) / 30, 1, observed=Y[::-1])


def graph_of_a_distribution() -> None:
    def exponential_of_normal(mean: Any, size: Any) -> Any:
        return pt.exp(pm.Normal.dist(mean, 1, size=size))

    mean, y = pm.Normal("b") * row("x", Y), row("y", np.exp(Y))
    pm.CustomDist("o", mean, dist=exponential_of_normal, observed=y, dims="row")


def bounds_of_data() -> None:
    bounds = RNG.uniform(0.5, 2, 30)
    latent = pm.Normal.dist(pm.Normal("b") * row("x", Y), 1)
    upper, y = row("upper", bounds), row("y", np.minimum(Y, bounds))
    pm.Censored("o", latent, lower=None, upper=upper, observed=y, dims="row")


def process_of_data() -> None:
    process = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, pm.InverseGamma("l", 5, 2)))
    x = row("x", np.linspace(0, 1, 30)[:, None], None)
    process.marginal_likelihood("o", x, row("y", Y), sigma=1.0)


def scan_over_data() -> None:
    levels = pytensor.scan(
        lambda step, level, rate: level / 2 + rate * step,
        sequences=[row("x", np.ones(30))],
        outputs_info=[pt.constant(0.0, dtype="float64")],
        non_sequences=[pm.Normal("rate")],
        return_updates=False,
    )
    observe_y(levels)


def unsigned_codes() -> None:
    pm.modelcontext(None).add_coord("group", range(4))
    observe_y(pm.Normal("effect", dims="group")[row("x", (np.arange(30) % 4).astype("uint8"))])


def effects_that_sum_to_zero() -> None:
    model = pm.modelcontext(None)
    model.add_coord("g", ["a", "b"])
    model.add_coord("h", [1, 2, 3])
    effect = pm.ZeroSumNormal("effect", dims=("g", "h"), n_zerosum_axes=2)
    mean = effect[row("x", np.arange(30) % 2), row("h of", np.arange(30) % 3)]
    pm.StudentT("o", nu=4, mu=mean, sigma=1, observed=row("y", Y), dims="row")


def times_counted_from_data() -> None:
    y = row("y", Y)
    pm.Normal("o", pm.Normal("a") * pt.arange(y.shape[0]) / 30, 1, observed=y, dims="row")


def counts_of_kinds() -> None:
    pm.modelcontext(None).add_coord("kind", range(3))
    y = row("y", RNG.multinomial(8, [0.2, 0.3, 0.5], size=30), "kind")
    share = pm.Dirichlet("share", np.ones(3), dims="kind")
    pm.Multinomial("o", n=row("x", np.full(30, 8)), p=share, observed=y, dims=("row", "kind"))


ONES = {"x": np.ones(2)}
MODELS = {
    "bytes_and_counts": Unusual(bytes_and_counts, {"x": np.array([3, -3], "int8")}),
    "booleans": Unusual(booleans, {"x": [True, False]}),
    "two_outcomes": Unusual(two_outcomes_of_other_shapes, ONES),
    "one_element": Unusual(dims_of_one_element, {"x": np.ones((2, 1))}),
    "no_element": Unusual(dims_of_no_element, {"x": np.ones((2, 0))}),
    "dates": Unusual(dates_as_coords, ONES),
    "nested": Unusual(nested_models, ONES),
    "letters": Unusual(names_in_other_letters, {"вход x": np.ones((2, 2))}),
    "deterministics_of_data": Unusual(deterministics_of_data, ONES),
    "masked": Unusual(masked_outcomes, batches=IMPUTED),
    "masked_matrix": Unusual(masked_matrix, batches=IMPUTED),
    "third_axis": Unusual(
        rows_on_the_third_axis,
        {"x": np.ones((2, 3, 2))},
        (2, 3, 2),
        "must be left out where all variables have a value for each row",
    ),
    "without_axes": Unusual(data_without_axes, ONES | {"n": 5}),
    "shared": Unusual(shared_variables_and_arrays),
    "custom_graph": Unusual(graph_of_a_distribution, ONES),
    "bounds": Unusual(bounds_of_data, ONES | {"upper": [0.5, 9.0]}),
    "process": Unusual(process_of_data, {"x": [[0.1], [0.2]]}, batches=JOINT),
    "scan": Unusual(scan_over_data, ONES, batches="differs from that among all rows"),
    "codes": Unusual(unsigned_codes, {"x": np.array([0, 3], "uint8")}),
    "zero_sum": Unusual(effects_that_sum_to_zero, {"x": [0, 1], "h of": [2, 0]}),
    "times": Unusual(times_counted_from_data, batches="differs from that among all rows"),
    "kinds": Unusual(counts_of_kinds, {"x": [8, 4]}, (2, 3)),
}


def model_of(unusual: Unusual) -> pm.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that PyMC imputes
        with pm.Model() as model:
            unusual.write()
    return model


@pytest.mark.parametrize("name", MODELS)
def test_density_batches_and_predictions(name: str) -> None:
    unusual = MODELS[name]
    model = model_of(unusual)
    program = compile_program(model)
    start = model.initial_point()
    moved = {variable: value + 0.1 for variable, value in start.items()}
    position = np.concatenate([np.ravel(moved[part]) for part in program.layout.names])
    density, slope = jax.value_and_grad(program.density)(position, program.data_values())
    assert float(density) == pytest.approx(float(model.compile_logp()(moved)), rel=1e-9)
    exact = np.concatenate([np.ravel(model.compile_dlogp()(moved))])
    np.testing.assert_allclose(slope, exact, rtol=1e-7, atol=1e-9)
    if unusual.batches is None:
        assert by.batched(model, batch_size=4).observed_RVs
    else:
        with pytest.raises(ValueError, match=rf"(?s){unusual.batches}.*\nHint: "):
            by.batched(model, batch_size=4)
    # A few iterations: what a fit describes and what is predicted of it is there.
    fit = by.fit(model, 3, correction=None, **QUIET)
    assert by.verify(fit, model).matches
    if unusual.new is not None:
        found = by.predict(fit, unusual.new, draws=3, **QUIET)["predictions"]["o"]
        assert found.shape == (1, 3, *unusual.shape)
        assert np.isfinite(found).all()
