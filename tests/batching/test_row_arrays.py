"""Arrays, shared variables and containers without dims that are rows, and those that are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pymc.model.transform.optimization import freeze_dims_and_data

import bayou as by
from bayou.batching.batched import batched_program
from bayou.batching.row_arrays import row_choices
from bayou.batching.row_dim import find_rows
from tests.batching.all_rows import check_density

NUM_ROWS = 60
RNG = np.random.default_rng(1)
X = RNG.normal(size=(NUM_ROWS, 3))
Z = RNG.normal(size=NUM_ROWS)
GROUP = RNG.integers(0, 4, NUM_ROWS)
COUNT = RNG.poisson(2, NUM_ROWS)
SQUARE = RNG.normal(size=(NUM_ROWS, NUM_ROWS))


def observe(mean: object) -> None:
    pm.Normal("y", mean, 1, observed=by.Data("outcome", Z, dims="row"), dims="row")


def design_and_groups() -> None:
    effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), shape=4)
    observe(pt.as_tensor(X) @ pm.Normal("b", shape=3) + effect[GROUP])


def weights_of_a_group() -> None:
    slope = pm.Normal("slope", shape=4)
    observe((slope[GROUP] * Z) * np.ones(NUM_ROWS))


def column_centred_by_its_mean() -> None:
    x = pt.as_tensor(Z)
    observe(pm.Normal("b") * (x - x.mean()) / x.std() + x.max())


def shared_variable() -> None:
    observe(pytensor.shared(X, name="x") @ pm.Normal("b", shape=3))


def container_without_dims() -> None:
    observe(pm.Data("x", X) @ pm.Normal("b", shape=3))


def rows_of_the_second_axis() -> None:
    observe(pm.Normal("b", shape=3) @ X.T)


def as_many_columns_as_rows() -> None:
    observe(pm.Normal("b", shape=NUM_ROWS) @ pt.as_tensor(SQUARE))


def prior_as_long_as_the_rows() -> None:
    b = pm.Normal("b", Z, 1 + Z**2, shape=NUM_ROWS)
    observe(pt.as_tensor(SQUARE) @ b)


def table_as_long_as_the_rows() -> None:
    table = pt.as_tensor(Z)
    observe(pm.Normal("b") * table[np.arange(NUM_ROWS)[::-1].copy()])


def dim_as_long_as_the_rows() -> None:
    knots = by.Data("knots", Z, dims="knot")
    observe(pm.Normal("b") * X[:, 0] + knots.sum())


def column_of_ones() -> None:
    eta = np.ones((NUM_ROWS, 1)) * pm.Normal("a", shape=2) + Z[:, None] * pm.Normal("b", shape=2)
    logits = pt.concatenate([np.zeros((NUM_ROWS, 1)), eta], axis=1)
    level = pm.Data("level", GROUP % 3, dims="row")
    pm.Categorical("y", logit_p=logits, observed=level, dims="row")


def censored() -> None:
    mean = pm.Normal("b") * pt.as_tensor(X[:, 0])
    upper = np.where(Z > 1, 1, np.inf)
    pm.Censored("y", pm.Normal.dist(mean, 1), None, upper, observed=np.minimum(Z, 1), dims="row")


def zero_inflated() -> None:
    rate = pt.exp(pm.Normal("b") * pt.as_tensor(Z))
    pm.ZeroInflatedPoisson("y", pm.Beta("p", 2, 2), rate, observed=COUNT, dims="row")


def hurdle() -> None:
    rate = pt.exp(pm.Normal("b") * pt.as_tensor(Z))
    pm.HurdlePoisson("y", pm.Beta("p", 2, 2), rate, observed=COUNT)


def mixture() -> None:
    mean = pm.Normal("b") * pt.as_tensor(Z)
    parts = [pm.Normal.dist(mean, 1), pm.StudentT.dist(4, mu=mean, sigma=2)]
    pm.Mixture("y", pm.Dirichlet("w", np.ones(2)), parts, observed=X[:, 0])


def quantile() -> None:
    mean = pm.Normal("b") * pt.as_tensor(Z)
    pm.AsymmetricLaplace("y", kappa=0.5, mu=mean, b=1, observed=X[:, 0])


def length_written_as_a_number() -> None:
    scale = pt.full(NUM_ROWS, pm.HalfNormal("s"))
    pm.Normal("y", pm.Normal("b") * Z, scale, observed=X[:, 0])


def potential_of_other_data() -> None:
    b = pm.Normal("b")
    pm.Potential("others", pm.logp(pm.Normal.dist(b, 1), Z).sum())
    observe(b * X[:, 0])


VALID = [
    design_and_groups,
    weights_of_a_group,
    column_centred_by_its_mean,
    shared_variable,
    container_without_dims,
    rows_of_the_second_axis,
    as_many_columns_as_rows,
    prior_as_long_as_the_rows,
    table_as_long_as_the_rows,
    dim_as_long_as_the_rows,
    column_of_ones,
    censored,
    zero_inflated,
    hurdle,
    mixture,
    quantile,
    length_written_as_a_number,
    potential_of_other_data,
]


def build(write: Callable[[], None]) -> pm.Model:
    with pm.Model(coords={"row": range(NUM_ROWS)}) as model:
        write()
    return model


@pytest.mark.parametrize("write", VALID, ids=lambda write: write.__name__)
def test_rows_are_found_by_their_number(write: Callable[[], None]) -> None:
    check_density(build(write))


def test_rows_of_a_frozen_model() -> None:
    with pm.Model() as model:
        x = by.Data("x", Z, dims="row")
        observe(pm.Normal("b") * (x - x.mean()))
    check_density(freeze_dims_and_data(model))


def test_batched_takes_arrays_too() -> None:
    batched = by.batched(build(design_and_groups), batch_size=7)
    assert batched["y"].shape.eval() == [7]


def autoregression() -> None:
    x = pt.as_tensor(Z)
    observe(pm.Normal("b") * pt.concatenate([[0.0], x[:-1] * pm.Normal("c")]))


def cumulative_sum() -> None:
    observe(pt.cumsum(pm.Normal("b") * pt.as_tensor(Z)))


def container_centred_by_its_mean() -> None:
    x = by.Data("x", Z, dims="row")
    observe(pm.Normal("b") * (x - x.mean()))


@pytest.mark.parametrize("write", [autoregression, cumulative_sum, container_centred_by_its_mean])
def test_rows_taken_together_are_refused(write: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match=r"^The likelihood must be a product over rows .* 'y'"):
        batched_program(build(write), 7, None, validate=True)


def test_parameters_without_a_dim_that_are_as_long_as_the_rows_are_refused() -> None:
    with pm.Model() as model:
        effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), shape=NUM_ROWS)
        pm.Normal("y", effect, 1, observed=by.Data("outcome", Z))
    message = r"(?s)'y' cannot be evaluated .*\nHint: name the dim of the rows, .*'effect'\. docs/"
    with pytest.raises(ValueError, match=message):
        batched_program(model, 7, None, validate=True)


def test_choices_begin_with_the_first_axis_and_leave_each_array_out() -> None:
    model = build(as_many_columns_as_rows)
    rows = find_rows(model)
    axes = [
        [axis for variable, (_, axis) in choice.storages.items() if variable not in rows.storages]
        for choice in row_choices(model, rows)
    ]
    assert axes == [[0], [1], []]
    with pm.Model() as model:
        observe(pm.Normal("b"))
    assert list(row_choices(model, find_rows(model))) == []
