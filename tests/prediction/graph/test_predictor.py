"""Compiled predictors: built once, by JAX or PyTensor, in pieces or together, for any sizes."""

from __future__ import annotations

import logging
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

import bayou as by
from bayou.prediction.graph.engine import DEFAULT_SIZES, EngineSizes
from bayou.prediction.graph.jax_engine import JaxEngine
from bayou.prediction.graph.predictor import (
    DependentRows,
    Predictor,
    RowPieces,
    compiled_predictor,
)
from bayou.prediction.graph.pytensor_engine import PytensorEngine
from bayou.prediction.graph.row_dependence import two_samples

RNG = np.random.default_rng(0)
X = RNG.normal(size=30)
DRAWS = {"b": RNG.normal(size=(75, 1))}


def predictor_of(
    likelihood: Any, draws: Any = DRAWS, sizes: EngineSizes = DEFAULT_SIZES, names: Any = ("y",)
) -> Predictor:
    with pm.Model() as model:
        x, y = by.Data("x", X, dims="row"), by.Data("y_data", X, dims="row")
        b = pm.Normal("b", shape=1)
        likelihood(x, b[0], y)
    predictor, fixed = build(model, draws, sizes, names)
    assert fixed == []
    return predictor


def build(model: pm.Model, draws: Any, sizes: Any, names: Any) -> Any:
    containers = [model["x"], model["y_data"]]
    samples = two_samples([X, X])
    return compiled_predictor(model, names, containers, ("row",), draws, {}, samples, sizes)


def normal(x: Any, b: Any, y: Any) -> None:
    pm.Normal("y", b * x, 0.1, observed=y, dims="row")


def predicted(predictor: Predictor, rows: Any, piece: int = 0, seed: int = 1) -> Any:
    [values] = predictor.engine(
        [DRAWS["b"]], np.arange(75), [], [rows, np.zeros(len(rows))], piece, seed
    )
    return values


def test_it_is_built_once() -> None:
    with pm.Model() as model:
        x, y = by.Data("x", X, dims="row"), by.Data("y_data", X, dims="row")
        normal(x, pm.Normal("b", shape=1)[0], y)
    first, _ = build(model, DRAWS, DEFAULT_SIZES, ["y"])
    again, _ = build(model, {"b": np.zeros((3, 1))}, DEFAULT_SIZES, ["y"])
    assert again is first
    other, _ = build(model, {}, DEFAULT_SIZES, ["y"])
    assert other is not first
    assert (first.parameter_names, first.drawn_once) == (("b",), ())
    assert (other.parameter_names, other.drawn_once) == ((), ("b",))


def test_jax_predicts_in_pieces_what_it_can_draw() -> None:
    predictor = predictor_of(normal)
    assert isinstance(predictor.engine, JaxEngine)
    assert isinstance(predictor.rows, RowPieces)
    assert predictor.rows.piece_rows == DEFAULT_SIZES.jax_elements
    values = predicted(predictor, np.linspace(-1, 1, 50))
    assert values.shape == (75, 50)
    np.testing.assert_allclose(values, DRAWS["b"] * np.linspace(-1, 1, 50), atol=0.6)


def test_pytensor_predicts_what_jax_does_not_draw() -> None:
    predictor = predictor_of(lambda x, b, y: pm.Gamma("y", 2, pm.math.exp(b * x), observed=y**2))
    assert isinstance(predictor.engine, PytensorEngine)
    assert isinstance(predictor.rows, RowPieces)
    assert predictor.rows.piece_rows == DEFAULT_SIZES.pytensor_elements


def test_rows_that_depend_on_each_other() -> None:
    predictor = predictor_of(lambda x, b, y: pm.Normal("y", b * x - x.mean(), observed=y))
    assert isinstance(predictor.rows, DependentRows)
    assert "change with other rows" in predictor.rows.reason
    assert predictor.engine.max_rows is None
    assert predicted(predictor, np.zeros(7)).shape == (75, 7)


def test_the_sizes_of_calls_change_nothing() -> None:
    rows = RNG.normal(size=100)

    def stacked(x: Any, b: Any, y: Any) -> None:
        # The axis of the rows is not the first one.
        pm.Deterministic("y", pm.math.stack([b * x + pm.Normal.dist(0, 1, shape=x.shape), x]))

    found = []
    # Rows of one piece, of three and of all in a call; draws in some calls, and in one.
    for draws_per_call, call_bytes in ((128, 0), (128, 3 * 128 * 16 * 16), (32, 2**23)):
        predictor = predictor_of(stacked, sizes=EngineSizes(32, 32, draws_per_call, 8, call_bytes))
        assert isinstance(predictor.rows, RowPieces)
        assert predictor.rows.piece_rows == 16
        most = predictor.engine.max_rows or 0
        parts = [
            predicted(predictor, rows[start : start + most], start // 16)
            for start in range(0, 100, most)
        ]
        found.append(np.concatenate(parts, axis=2))
    assert found[0].shape == (75, 2, 100)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert len(np.unique(found[0][:, 0], axis=0)) == 75


@pytest.mark.parametrize("sizes", [DEFAULT_SIZES, EngineSizes(jax_elements=16)])
def test_random_numbers_are_a_function_of_seed_draw_and_piece(sizes: EngineSizes) -> None:
    predictor = predictor_of(normal, sizes=sizes)
    rows = np.zeros(16)
    first = predicted(predictor, rows)
    assert np.array_equal(first, predicted(predictor, rows))
    assert not np.array_equal(first, predicted(predictor, rows, piece=1))
    assert not np.array_equal(first, predicted(predictor, rows, seed=2))
    [few] = predictor.engine([DRAWS["b"][5:7]], np.array([5, 6]), [], [rows, rows], 0, 1)
    assert np.array_equal(few, first[5:7])


def test_variables_that_are_the_same_for_all_rows_are_drawn_once() -> None:
    predictor = predictor_of(
        lambda x, b, y: pm.Normal("y", x + pm.Normal("z") + b, 0.1, observed=y), draws={}
    )
    assert set(predictor.drawn_once) == {"b", "z"}
    assert isinstance(predictor.rows, RowPieces)
    shared, predictions = predictor.rows.draw_shared([], np.arange(4), [], [X[:6], X[:6]], 1)
    assert sorted(array.shape for array in shared) == [(4,), (4, 1)]
    assert predictions == []


def test_variables_with_a_value_for_each_row_are_drawn_anew() -> None:
    def likelihood(x: Any, b: Any, y: Any) -> None:
        pm.Normal("y", pm.Normal("eta", b * x, dims="row"), observed=y, dims="row")

    predictor = predictor_of(likelihood, draws=DRAWS | {"eta": np.zeros((75, 30))})
    assert predictor.drawn_by_row == ("eta",)
    assert predictor.parameter_names == ("b",)


def test_draws_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Draws of 'b' must have the shape .* \(1,\), got \(2,\)"):
        predictor_of(normal, draws={"b": np.zeros((5, 2))})


def test_one_draw_without_a_compiler_shows_rows_that_do_not_fit() -> None:
    with pm.Model(coords={"group": range(2)}) as model:
        x, y = by.Data("x", [0, 1, 1], dims="row"), by.Data("y_data", np.zeros(3), dims="row")
        pm.Normal("y", pm.Normal("b", dims="group")[x], observed=y, dims="row")
    samples = two_samples([np.array([0, 1]), np.zeros(2)])
    predictor, _ = compiled_predictor(
        model, ["y"], [x, y], ("row",), {"b": np.zeros((1, 2))}, {}, samples
    )
    [values] = predictor.predict_one([np.zeros(2)], [], [np.array([0, 1, 1]), np.zeros(3)])
    assert values.shape == (3,)
    with pytest.raises(ValueError, match=r"^`data` must fit the model, .* out of bounds.*\nHint: "):
        predictor.predict_one([np.zeros(2)], [], [np.array([2]), np.zeros(1)])


class PlusOne(Op):
    """Adds 1; PyTensor has no JAX conversion of it."""

    __props__ = ()

    def make_node(self, values: Any) -> Apply:
        return Apply(self, [values], [values.type()])

    def perform(self, node: Any, inputs: Any, output_storage: Any) -> None:
        output_storage[0][0] = inputs[0] + 1


class BrokenPlusOne(PlusOne):
    """The same, with a JAX conversion that has a fault."""


@jax_funcify.register(BrokenPlusOne)
def _broken(op: Any, **kwargs: Any) -> Any:
    raise RuntimeError("a fault of the conversion")


@pytest.mark.parametrize(
    ("operation", "level", "text"),
    [
        (PlusOne(), logging.INFO, "JAX cannot compute the predictions"),
        (BrokenPlusOne(), logging.ERROR, "JAX failed to compile the predictions"),
    ],
    ids=["no conversion", "a fault"],
)
def test_what_jax_cannot_do_is_logged(
    operation: Any, level: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bayou")

    def likelihood(x: Any, b: Any, y: Any) -> None:
        pm.Normal("y", b * operation(x), observed=y, dims="row")

    predictor = predictor_of(likelihood)
    assert isinstance(predictor.engine, PytensorEngine)
    [record] = [record for record in caplog.records if record.name.startswith("bayou")]
    assert record.levelno == level
    assert text in record.getMessage()


def test_jax_compiles_nothing_for_other_numbers_of_rows_and_draws(
    caplog: pytest.LogCaptureFixture,
) -> None:
    predictor = predictor_of(normal)
    logged = jax.config.jax_log_compiles
    jax.config.update("jax_log_compiles", True)
    try:
        predicted(predictor, np.zeros(10))
        assert "jit(_blocks)" in caplog.text
        caplog.clear()
        predicted(predictor, np.zeros(1000), 3, 4)
        predictor.engine([DRAWS["b"][:2]], np.arange(2), [], [np.zeros(3), np.zeros(3)], 0, 1)
        assert "jit(_blocks)" not in caplog.text
    finally:
        jax.config.update("jax_log_compiles", logged)
