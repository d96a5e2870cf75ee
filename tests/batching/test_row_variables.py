"""Variables with a value for each row, of all kinds of transforms, in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.batched import batched_program

NUM_ROWS = 6
random = np.random.default_rng(0)
COUNTS = random.multinomial(10, [0.2, 0.3, 0.5], NUM_ROWS)
VALUES = random.normal(size=(NUM_ROWS, 3))
LIMITS = random.uniform(1, 3, NUM_ROWS)
ORDERED = pm.distributions.transforms.ordered


def counts(probabilities: Any) -> None:
    outcome = by.Data("counts", COUNTS, dims=("row", "kind"))
    pm.Multinomial("o", 10, probabilities, observed=outcome, dims=("row", "kind"))


def values(mean: Any) -> None:
    outcome = by.Data("values", VALUES, dims=("row", "kind"))
    pm.Normal("o", mean, 0.5, observed=outcome, dims=("row", "kind"))


def simplex() -> None:
    spread = pm.Exponential("spread", 0.5)
    counts(pm.Dirichlet("x", spread * np.ones(3), dims=("row", "kind")))


def stick_breaking() -> None:
    alpha = pm.Gamma("alpha", 2, 1)
    counts(pm.StickBreakingWeights("x", alpha, K=2, dims=("row", "kind")))


def ordered() -> None:
    mean = pm.Normal("mean", 0, 2)
    # Without a start in order, PyMC starts all rows at one number.
    start = np.tile([-1.0, 0.0, 1.0], (NUM_ROWS, 1))
    values(pm.Normal("x", mean, dims=("row", "kind"), transform=ORDERED, initval=start))


def zero_sum() -> None:
    values(pm.ZeroSumNormal("x", pm.HalfNormal("spread"), dims=("row", "kind")))


def multivariate() -> None:
    chol, _, _ = pm.LKJCholeskyCov("chol", n=3, eta=2, sd_dist=pm.Exponential.dist(1, shape=3))
    values(pm.MvNormal("x", np.zeros(3), chol=chol, dims=("row", "kind")))


def walk() -> None:
    start = pm.Normal.dist()
    spread = pm.HalfNormal("spread")
    values(pm.GaussianRandomWalk("x", 0, spread, init_dist=start, dims=("row", "kind")))


def bounded_by_rows() -> None:
    limits = by.Data("limits", LIMITS, dims="row")
    outcome = by.Data("values", VALUES[:, 0], dims="row")
    x = pm.Uniform("x", 0, limits, dims="row")
    pm.Normal("o", x, pm.HalfNormal("spread"), observed=outcome, dims="row")


# Each with the number of elements of a row on the real line.
KINDS: dict[Callable[[], None], int] = {
    simplex: 2, stick_breaking: 2, ordered: 3, zero_sum: 2, multivariate: 3, walk: 3,
    bounded_by_rows: 1,
}  # fmt: skip


def build(kind: Callable[[], None]) -> pm.Model:
    with pm.Model(coords={"row": range(NUM_ROWS), "kind": ["a", "b", "c"]}) as model:
        kind()
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_of_a_batch_is_that_of_its_rows(kind: Callable[[], None]) -> None:
    model = build(kind)
    minibatch_model, program = batched_program(model, 4, None, validate=True)
    assert program.latent_layout.size == KINDS[kind]
    position = 0.3 * random.normal(size=program.layout.size)
    rows = 0.3 * random.normal(size=(NUM_ROWS, KINDS[kind]))
    point = dict(zip(program.layout.names, program.layout.split(position), strict=True))
    [name], [row_values] = program.latent_layout.names, program.latent_layout.split(rows)
    variables = [*model.basic_RVs]
    terms = model.compile_logp(sum=False)(point | {name: row_values})
    expected = {v.name: term for v, term in zip(variables, terms, strict=True)}
    of_model = {"counts": COUNTS, "values": VALUES, "limits": LIMITS}
    if kind is bounded_by_rows:
        of_model["values"] = VALUES[:, 0]
    batch = np.array([4, 1, 2])
    fed = [
        np.arange(NUM_ROWS)[batch]
        if variable.name not in of_model
        else of_model[variable.name][batch]
        for variable in program.fed
    ]
    found = program.interpreted_terms(position, (*fed, *program.data_values(), rows[batch]))
    for variable in ("x", "o"):
        # Each is scaled from the batch to all rows.
        np.testing.assert_allclose(found[variable], 2 * expected[variable][batch], rtol=1e-8)
    assert minibatch_model.free_RVs


@pytest.mark.slow
@pytest.mark.parametrize("kind", [simplex, bounded_by_rows])
def test_draws_are_of_all_rows(kind: Callable[[], None]) -> None:
    model = build(kind)
    options: dict[str, Any] = {"random_seed": 1, "progressbar": False}
    fit = by.fit(20, batch_size=3, model=model, correction=None, **options)
    draws = fit.sample(50, random_seed=1).posterior["x"]
    assert draws.sizes["row"] == NUM_ROWS
    if kind is simplex:
        np.testing.assert_allclose(draws.sum("kind"), 1)
        new: dict[str, Any] = {"counts": COUNTS[:2]}
    else:
        assert (draws.max(("chain", "draw")) < LIMITS).all()
        assert float(draws.max()) > 1
        new = {"limits": [0.5, 0.1], "values": [0.0, 0.0]}
    predictions = by.predict(fit, new, model=model, **options).predictions["o"]
    assert predictions.sizes["row"] == 2


@pytest.mark.slow
def test_simplexes_in_batches_are_those_of_all_rows_at_once() -> None:
    generator = np.random.default_rng(0)
    topics = np.stack([generator.multinomial(20, p) for p in generator.dirichlet([2, 2, 2], 60)])
    with pm.Model():
        outcome = by.Data("counts", topics, dims=("row", "kind"))
        x = pm.Dirichlet("x", pm.Exponential("spread", 0.5) * np.ones(3), dims=("row", "kind"))
        pm.Multinomial("o", 20, x, observed=outcome, dims=("row", "kind"))
        whole, batches = (
            by.fit(batch_size=size, random_seed=1, progressbar=False).sample(2000, random_seed=1)
            for size in (None, 20)
        )
    means = [tree.posterior["x"].mean(("chain", "draw")) for tree in (whole, batches)]
    np.testing.assert_allclose(means[1], means[0], atol=0.04)
