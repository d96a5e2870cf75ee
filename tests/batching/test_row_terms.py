"""Densities on some of the rows: those of the whole, and errors of rows that cannot stand alone."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.row_terms import EvaluationError, RowTerms, num_rows_in_memory
from bayou.density.build import compile_program

Z = np.random.default_rng(0).normal(size=20)


def row_terms(model: pm.Model, num_rows: int = 20) -> RowTerms:
    generator = np.random.default_rng(0)
    return RowTerms(model, compile_program(model), np.arange(num_rows), generator)


def normal_model() -> pm.Model:
    with pm.Model() as model:
        y = by.Minibatch(Z, 5)
        pm.Normal("y", pm.Normal("mu", 3, 1), 1, observed=y, total_size=20)
    return model


def test_a_batch_has_the_terms_of_its_rows() -> None:
    terms = row_terms(normal_model())
    position, of_all = next(terms.positions())
    batch = np.array([3, 7, 2])
    of_batch = terms.of_batch(position, batch)
    assert of_batch.keys() == of_all.keys() == {"mu", "y"}
    # Each is scaled to all rows.
    np.testing.assert_allclose(of_all["y"][batch] * 20, of_batch["y"] * 3)
    np.testing.assert_array_equal(of_all["mu"], of_batch["mu"])


def test_positions_are_near_the_start_and_from_the_prior() -> None:
    positions = [position for position, _ in row_terms(normal_model()).positions()]
    assert len(positions) == 4
    assert abs(positions[0][0] - 3) <= 1
    assert len({float(position[0]) for position in positions}) == 4


def test_a_position_where_the_density_is_finite_is_tried() -> None:
    with pm.Model() as model:
        mu = pm.Flat("mu", initval=0.0)
        pm.Potential("bound", pm.math.switch(pm.math.abs(mu) > 0.05, -np.inf, 0.0))
        pm.Normal("y", mu, 1, observed=by.Minibatch(Z, 5), total_size=20)
    position, terms = next(row_terms(model).positions())
    assert abs(position[0]) <= 0.05
    assert np.isfinite(terms["bound"])


def test_prior_draws_end_where_a_distribution_has_none() -> None:
    with pm.Model() as model:
        mu = pm.CustomDist("mu", logp=lambda value: -(value**2))
        pm.Normal("y", mu, 1, observed=by.Minibatch(Z, 5), total_size=20)
    assert len(list(row_terms(model).positions())) == 1


def test_rows_that_take_others_by_number_cannot_stand_alone() -> None:
    with pm.Model() as model:
        z, other = by.Minibatch(Z, 5), by.Minibatch(np.roll(np.arange(20), 1), 5)
        pm.Normal("y", pm.Normal("slope") * z[other], 1, observed=z, total_size=20)
    terms = row_terms(model)
    position, _ = next(terms.positions())
    with pytest.raises(EvaluationError, match=r"^'y' takes other rows by their number: without"):
        terms.of_batch(position, np.array([5, 6]))


def test_lengths_that_do_not_follow_the_rows_are_an_error() -> None:
    with pm.Model() as model:
        mean = pm.Normal("slope") * Z
        pm.Normal("y", mean, 1, observed=by.Minibatch(Z, 20), total_size=20)
    terms = row_terms(model)
    position, _ = next(terms.positions())
    with pytest.raises(EvaluationError, match=r"^'y' cannot be evaluated on a part of the rows"):
        terms.of_batch(position, np.arange(7))


def test_an_index_out_of_range_whatever_the_rows_is_called_so() -> None:
    with pm.Model() as model:
        group = by.Minibatch(np.arange(20) % 7, 5)
        effect = pm.Normal("effect", shape=6)
        pm.Normal("y", effect[group], 1, observed=by.Minibatch(Z, 5), total_size=20)
    with pytest.raises(IndexError, match=r"at least 0 and below its length.* holds 0 .* to 6 "):
        next(row_terms(model).positions())


def test_rows_in_memory_are_those_of_the_shortest() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Minibatch(Z, 5), total_size=20)
    assert num_rows_in_memory(compile_program(model)) == 20
