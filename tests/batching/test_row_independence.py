"""Which likelihoods may be fitted in batches of rows: not one false verdict."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.batching.row_independence import (
    GENERAL_HINT,
    Dependence,
    check_likelihood,
    check_one_density_each,
    find_dependence,
    rows_are_independent,
)
from bayou.density.build import compile_program
from bayou.density.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable

random = np.random.default_rng(1)
NUM_ROWS = 300
X = random.normal(size=(NUM_ROWS, 3))
Z = random.normal(size=NUM_ROWS)
PAIRS = random.normal(size=(NUM_ROWS, 2))
LATE = random.random(NUM_ROWS) < 0.5
COUNTS = random.poisson(3, NUM_ROWS)
GROUPS = random.integers(0, 7, NUM_ROWS)
KINDS = random.integers(0, 3, NUM_ROWS)
SPLITS = random.multinomial(10, [0.2, 0.3, 0.5], NUM_ROWS)

VALID: dict[str, Callable[[], object]] = {}
REFUSED: dict[str, tuple[str, Callable[[], object]]] = {}


def valid(model: Callable[[], object]) -> None:
    VALID[model.__name__] = model


def refused(reason: str) -> Callable[[Callable[[], object]], None]:
    def keep(model: Callable[[], object]) -> None:
        REFUSED[model.__name__] = (reason, model)

    return keep


def rows(name: str, values: np.ndarray) -> pt.TensorVariable:
    return by.Data(name, values, dims="row" if values.ndim == 1 else ("row", f"of_{name}"))


@valid
def logistic() -> None:
    slopes = pm.Normal("slopes", shape=3)
    pm.Bernoulli("y", logit_p=rows("x", X) @ slopes, observed=rows("late", LATE), dims="row")


@valid
def observed_array() -> None:
    slopes = pm.Normal("slopes", shape=3)
    pm.Normal("y", rows("x", X) @ slopes, 1, observed=Z, dims="row")


@valid
def shape_of_data() -> None:
    x = rows("x", X)
    pm.Normal("y", x @ pm.Normal("slopes", shape=x.shape[1]), 1, observed=rows("z", Z))


@valid
def groups() -> None:
    effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), shape=7)
    pm.Poisson("y", pt.exp(effect[rows("group", GROUPS)]), observed=rows("count", COUNTS))


@valid
def several_numbers_a_row() -> None:
    pm.MvNormal("y", pm.Normal("mu", shape=2), cov=np.eye(2), observed=rows("pair", PAIRS))


@valid
def matrix_of_independent_numbers() -> None:
    pm.Normal("y", pm.Normal("mu", shape=2), 1, observed=rows("pair", PAIRS))


@valid
def ordered_outcomes() -> None:
    cuts = pm.Normal(
        "cuts", [-1, 1], 1, transform=pm.distributions.transforms.ordered, initval=[-1.0, 1.0]
    )
    eta = rows("x", X) @ pm.Normal("slopes", shape=3)
    pm.OrderedLogistic("y", eta=eta, cutpoints=cuts, observed=rows("kind", KINDS))


@valid
def softmax_of_each_row() -> None:
    logits = rows("x", X) @ pm.Normal("slopes", shape=(3, 3))
    pm.Categorical("y", p=pm.math.softmax(logits, axis=1), observed=rows("kind", KINDS))


@valid
def mixture() -> None:
    mu = pm.Normal("mu", [-1, 1], 1, shape=2)
    pm.Mixture("y", w=[0.5, 0.5], comp_dists=pm.Normal.dist(mu, 1), observed=rows("z", Z))


@valid
def censored() -> None:
    within = pm.Normal.dist(pm.Normal("mu"), 1)
    pm.Censored("y", within, lower=-1, upper=1, observed=rows("z", np.clip(Z, -1, 1)))


@valid
def zero_inflated() -> None:
    pm.ZeroInflatedPoisson("y", 0.7, pm.HalfNormal("mu") + 1, observed=rows("count", COUNTS))


@valid
def two_outcomes() -> None:
    mu = pm.Normal("mu")
    pm.Normal("y", mu, pm.HalfNormal("sigma"), observed=rows("z", Z))
    pm.StudentT("other", nu=4, mu=mu, sigma=1, observed=rows("shifted", Z + 1))


@valid
def potential_of_each_row() -> None:
    mu, z = pm.Normal("mu"), rows("z", Z)
    pm.Potential("weight", -((z - mu) ** 2))
    pm.Normal("y", mu, 1, observed=z)


@valid
def length_from_coords() -> None:
    pm.modelcontext(None).add_coord("row", np.arange(NUM_ROWS))
    z = rows("z", Z)
    mean = pm.Deterministic("mean", pm.Normal("slope") * z, dims="row")
    pm.Normal("y", mean, 1, observed=z, dims="row")


@valid
def another_outcome_without_rows() -> None:
    mu = pm.Normal("mu")
    pm.Normal("y", mu, 1, observed=rows("z", Z))
    pm.Normal("summary", mu, 1, observed=np.arange(5.0))


@valid
def right_total_size() -> None:
    pm.Normal("y", pm.Normal("mu"), 1, observed=rows("z", Z), total_size=NUM_ROWS)


@valid
def counts_of_each_row() -> None:
    pm.Multinomial("y", n=10, p=pm.Dirichlet("p", np.ones(3)), observed=rows("split", SPLITS))


@valid
def latent_value_of_each_row() -> None:
    z = rows("z", Z)
    effect = pm.Normal("effect", z, pm.HalfNormal("spread"), dims="row")
    pm.Poisson("y", pt.exp(effect), observed=rows("count", COUNTS))


@refused("'y' has one distribution over all rows, AR")
def autoregression() -> None:
    rho = pm.Normal("rho", 0, 0.3)
    start = pm.Normal.dist(0, 10)
    pm.AR("y", rho, sigma=1, ar_order=1, init_dist=start, observed=rows("z", Z))


@refused("'y' has one distribution over all rows, MultivariateNormal")
def correlated_rows() -> None:
    mu = pm.Normal("mu") * np.ones(NUM_ROWS)
    pm.MvNormal("y", mu, cov=np.eye(NUM_ROWS), observed=rows("z", Z))


@refused("'y' has one distribution over all rows, MultivariateNormal")
def gaussian_process() -> None:
    covariance = pm.gp.cov.ExpQuad(1, pm.HalfNormal("length") + 0.1)
    process = pm.gp.Marginal(cov_func=covariance)
    process.marginal_likelihood("y", rows("t", Z[:, None]), rows("z", Z), sigma=1.0)


@refused("'walk' has one distribution over all rows, RandomWalk")
def random_walk() -> None:
    z = rows("z", Z)
    start = pm.Normal.dist()
    walk = pm.GaussianRandomWalk("walk", init_dist=start, steps=NUM_ROWS - 1, dims="row")
    pm.Normal("y", walk, 1, observed=z)


@refused("'effect' has one distribution over all rows, ZeroSumNormal")
def zero_sum() -> None:
    z = rows("z", Z)
    pm.Normal("y", pm.ZeroSumNormal("effect", dims="row"), 1, observed=z)


@refused("'effect' has one transform over all rows, 'ordered'")
def ordered_over_rows() -> None:
    z = rows("z", Z)
    start, ordered = np.arange(NUM_ROWS), pm.distributions.transforms.ordered
    effect = pm.Normal("effect", 0, 1, dims="row", transform=ordered, initval=start)
    pm.Normal("y", effect, pm.HalfNormal("scale"), observed=z)


@refused(
    "the density of 'y' in a batch differs from that among all rows, in 100% of rows, because of"
)
def cumulative_sum() -> None:
    pm.Normal("y", pm.Normal("slope") * pt.cumsum(rows("z", Z)), 1, observed=rows("w", Z))


@refused("because of a sum, mean or other reduction over rows")
def centred_in_the_model() -> None:
    z = rows("z", Z)
    pm.Normal("y", pm.Normal("slope") * (z - z.mean()), 1, observed=rows("w", Z))


@refused("because of a sum, mean or other reduction over rows")
def scaled_in_the_model() -> None:
    z = rows("z", Z)
    pm.Normal("y", pm.Normal("slope") * z / z.std(), 1, observed=rows("w", Z))


@refused("because of a softmax")
def softmax_over_rows() -> None:
    mean = pm.math.softmax(pm.Normal("slope") * rows("z", Z), axis=0)
    pm.Normal("y", mean, 0.001, observed=rows("w", Z))


@refused("because of a sort")
def ranks() -> None:
    ranks = pt.argsort(pt.argsort(rows("z", Z)))
    pm.Normal("y", pm.Normal("slope") * ranks, 1, observed=rows("w", Z))


@refused("because of a shift of rows")
def lag() -> None:
    z = rows("z", Z)
    lagged = pt.concatenate([z[:1], z[:-1]])
    pm.Normal("y", pm.Normal("slope") * lagged, 1, observed=rows("w", Z))


@refused("because of a sum, mean or other reduction over rows")
def scaled_by_a_largest_value_that_many_rows_have() -> None:
    speed = np.where(np.arange(NUM_ROWS) % 10 == 0, 23.0, 12.0)
    x = rows("x", speed)
    pm.Normal("y", pm.Normal("slope") * x / x.max(), 1, observed=rows("w", Z))


@refused("because of a sum, mean or other reduction over rows")
def centred_where_the_outcome_is_large() -> None:
    x = rows("x", Z)
    mean = pm.Normal("a", 1.6e9, 1e6) + pm.Normal("slope", 0, 1e5) * (x - x.mean())
    pm.Normal("y", mean, pm.HalfNormal("spread", 1e4), observed=rows("w", 1.6e9 + 1e4 * Z))


@refused("because of a sum, mean or other reduction over rows")
def centred_away_from_the_start() -> None:
    x, a = rows("x", Z), pm.Normal("a", 50, 10, initval=0.0)
    pm.Normal("y", a + pt.maximum(a - 10, 0) * (x - x.mean()), 1, observed=rows("w", Z))


@refused("the potential 'sum' is one number for all rows")
def potential_of_all_rows() -> None:
    mu = pm.Normal("mu")
    pm.Potential("sum", -((mu * rows("z", Z)).sum() ** 2))
    pm.Normal("y", mu, 1, observed=rows("w", Z))


@refused("the density of 'mixed' in a batch differs from that among all rows, in 100% of rows")
def potential_that_mixes_rows() -> None:
    mu, z = pm.Normal("mu"), rows("z", Z)
    pm.Potential("mixed", -((mu * z - z.mean()) ** 2))
    pm.Normal("y", mu, 1, observed=rows("w", Z))


@refused("'y' takes other rows by their number")
def neighbours() -> None:
    z, neighbour = rows("z", Z), rows("neighbour", np.roll(np.arange(NUM_ROWS), 1))
    pm.Normal("y", pm.Normal("slope") * z[neighbour], 1, observed=rows("w", Z))


@refused("because of an index into the rows")
def first_row_for_all() -> None:
    z, first = rows("z", Z), rows("first", np.zeros(NUM_ROWS, dtype=int))
    pm.Normal("y", pm.Normal("slope") * z[first], 1, observed=rows("w", Z))


@refused("the density of 'mu' depends on which rows are in the batch")
def prior_from_rows() -> None:
    z = rows("z", Z)
    pm.Normal("y", pm.Normal("mu", 0, 10 * z.std()), 1, observed=z)


@refused("the density of 'total' depends on which rows are in the batch")
def outcome_of_all_rows() -> None:
    mu, z = pm.Normal("mu"), rows("z", Z)
    pm.Normal("y", mu, 1, observed=z)
    pm.Normal("total", mu * z.sum(), 1, observed=3.0)


@valid
def container_without_the_dim() -> None:
    x = by.Data("x", Z)
    pm.Normal("y", pm.Normal("slope") * x, 1, observed=rows("z", Z))


@refused("give 'effect' the dim 'row'")
def variable_without_the_dim() -> None:
    effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), shape=len(Z))
    pm.Normal("y", effect, 1, observed=rows("z", Z))


@refused("give 'effect' the dim 'row'")
def variable_of_the_length_of_its_bounds() -> None:
    effect = pm.Uniform("effect", 0, rows("bound", np.abs(Z) + 1))
    pm.Normal("y", effect, pm.HalfNormal("spread"), observed=rows("z", Z))


@refused("give 'effect' the dim 'row'")
def variable_of_all_rows_in_numbers() -> None:
    effect = pm.Uniform("effect", 0, rows("bound", np.abs(Z) + 1), shape=len(Z))
    pm.Normal("y", effect, pm.HalfNormal("spread"), observed=rows("z", Z))


@refused("for a part of the rows, of which it takes some by a mask")
def rows_by_their_numbers() -> None:
    seen, times = rows("seen", LATE).nonzero(), rows("z", np.abs(Z))
    pm.Potential("of seen", pm.logp(pm.Weibull.dist(pm.HalfNormal("shape"), 1), times[seen]))


def build(content: Callable[[], object]) -> pm.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pm.Model() as model:
            content()
    return model


@pytest.mark.parametrize("name", VALID)
def test_likelihoods_of_rows_pass(name: str) -> None:
    model = build(VALID[name])
    assert by.batched(model, batch_size=32).observed_RVs


@pytest.mark.parametrize("name", REFUSED)
def test_likelihoods_of_other_kinds_are_refused(name: str) -> None:
    reason, content = REFUSED[name]
    model = build(content)
    with pytest.raises(ValueError, match=r"(?s)must be a product over rows.*\nHint: ") as caught:
        by.fit(batch_size=32, model=model)
    assert reason in str(caught.value)


def test_what_is_not_checked_is_said() -> None:
    with pytest.warns(UserWarning, match="`validate=False`: it is not checked"):
        by.batched(build(REFUSED["centred_in_the_model"][1]), batch_size=32, validate=False)


def test_minibatches_by_hand_are_checked() -> None:
    with pm.Model() as model:
        z = by.Minibatch(Z, 32)
        mean = pm.Normal("slope") * (z - z.mean())
        pm.Normal("y", mean, 1, observed=by.Minibatch(Z, 32), total_size=NUM_ROWS)
    with pytest.raises(ValueError, match="because of a sum, mean or other reduction over rows"):
        by.fit(model=model)


@pytest.mark.filterwarnings("ignore:total_size not provided")
def test_a_minibatch_that_is_not_scaled_is_refused() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mean"), 1, observed=by.Minibatch(Z, 32))
    with pytest.raises(
        ValueError,
        match=r"`total_size` must be given for 'y', .*, got none: the likelihood would count "
        r"the rows of a batch only\.\nHint: pass total_size=len\(data\)",
    ):
        by.fit(model=model)


def test_an_index_out_of_range_is_called_so() -> None:
    with pm.Model() as model:
        effect = pm.Normal("effect", shape=6)
        pm.Normal("y", effect[rows("group", GROUPS)], 1, observed=rows("z", Z))
    with pytest.raises(IndexError, match="'group' must hold indices of 'effect'"):
        by.fit(batch_size=32, model=model)


def test_each_reason_has_its_hint() -> None:
    error = Dependence("'y' takes rows together").error()
    assert str(error) == (
        "The likelihood must be a product over rows to be fitted in batches, but 'y' takes rows "
        f"together.\nHint: {GENERAL_HINT} docs/explanation/batching.md says why."
    )
    with pytest.raises(ValueError, match=r"one number for all rows\.\nHint: leave the sum"):
        by.batched(build(REFUSED["potential_of_all_rows"][1]), batch_size=32)


def test_what_is_not_checked_is_said_at_the_line_of_the_call() -> None:
    model = build(REFUSED["centred_in_the_model"][1])
    with pytest.warns(UserWarning, match="it is not checked") as caught:
        by.batched(model, batch_size=32, validate=False)
    assert [warning.filename for warning in caught] == [__file__]


def in_batches(write: Callable[[object, object], object]) -> tuple[pm.Model, Program]:
    with pm.Model() as model:
        write(pm.Normal("mu"), by.Minibatch(Z, 32))
    return model, compile_program(model)


def shared_scale(mu: object, z: object) -> None:
    pm.Normal("y", mu, 1, observed=z, total_size=NUM_ROWS)


def sum_of_rows(mu: object, z: object) -> None:
    pm.Potential("pull", -((mu - z) ** 2).sum() * NUM_ROWS / 32)


def one_density(mu: object, z: object) -> None:
    pm.MvNormal("y", mu * np.ones(32), np.eye(32), observed=z, total_size=NUM_ROWS)


def test_dependence_is_found_or_not() -> None:
    assert find_dependence(*in_batches(shared_scale)) is None
    assert rows_are_independent(*in_batches(shared_scale))
    found = find_dependence(*in_batches(one_density), "write it otherwise.")
    assert found is not None
    assert found.reason.startswith("'y' cannot be evaluated on a part of the rows (")
    assert found.hint == "write it otherwise."


def test_potentials_of_a_batch_are_left_to_the_user() -> None:
    # bayou.Minibatch is scaled by hand there, so nothing says what is right.
    check_likelihood(*in_batches(sum_of_rows), validate=True)
    with pytest.raises(ValueError, match="must be a product over rows"):
        check_likelihood(*in_batches(one_density), validate=True)


def test_one_density_for_each_row_is_needed() -> None:
    plain, joint = pm.Normal.dist(shape=3), pm.MvNormal.dist(np.zeros(3), np.eye(3), name="y")
    check_one_density_each([plain])
    with pytest.raises(ValueError, match=r"but 'y' has one distribution over all rows, Multi"):
        check_one_density_each([plain, joint])


def test_a_row_without_a_density_is_named() -> None:
    scale = np.ones(40)
    scale[17] = 0
    with pm.Model() as model:
        y = by.Data("y", np.arange(40.0), dims="row")
        pm.Normal("o", pm.Normal("mu"), by.Data("scale", scale, dims="row"), observed=y, dims="row")
    message = (
        r"^The log density must be finite in each row, got none for 'o' in row 17, where the model "
        r"starts\.\nHint: look at that row for a parameter out of its range, such as a standard"
    )
    with pytest.raises(ValueError, match=message):
        by.batched(model, batch_size=8)


def test_positions_without_a_density_for_some_rows_are_no_dependence() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.linspace(-1, 1, 40), dims="row")
        y = by.Data("y", np.arange(40) % 2, dims="row")
        # Draws of the prior give probabilities outside of 0 to 1, for the last rows.
        pm.Bernoulli("o", p=0.5 + x * pm.Normal("slope", 0, 3, initval=0), observed=y, dims="row")
    assert by.batched(model, batch_size=8).observed_RVs
