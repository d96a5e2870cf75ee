"""Graphs with named dims lowered to plain tensors."""

from __future__ import annotations

import numpy as np
import pymc.dims as pmd
import pytensor
import pytensor.tensor as pt
import pytensor.xtensor as px
import pytest
from pytensor.compile.ops import view_op
from pytensor.raise_op import Assert
from pytensor.xtensor.basic import XOp
from pytensor.xtensor.type import xtensor_shared

from bayou.containers.variables.named_dims import (
    dims_of_type,
    has_named_dims,
    lowered,
    with_named_dims,
)

VALUES = np.arange(6.0).reshape(2, 3)


def test_names_are_seen_in_the_inputs_of_a_graph() -> None:
    named = xtensor_shared(VALUES, dims=("a", "b"))
    assert dims_of_type(named) == ("a", "b")
    assert dims_of_type(named.values) is None
    assert has_named_dims([named.values.sum()])
    assert not has_named_dims([pytensor.shared(VALUES).sum()])
    assert dims_of_type(with_named_dims(pt.constant(VALUES), ("a", "b"))) == ("a", "b")


def test_plain_graphs_are_returned_as_they_are() -> None:
    graph = pytensor.shared(VALUES).sum()
    assert lowered([graph])[0] is graph


def test_lowered_graphs_have_the_values_and_names() -> None:
    named = xtensor_shared(VALUES, dims=("a", "b"), name="data")
    other = pmd.as_xtensor(np.array([1.0, 2.0]), dims="a")
    graph = (named.transpose("b", "a") * other).isel(b=1)
    graph.name = "product"
    data, product = lowered([named, graph])
    assert not has_named_dims([data, product])
    assert (data.name, product.name) == ("data", "product")
    np.testing.assert_array_equal(product.eval(), VALUES[:, 1] * [1, 2])


def test_container_is_one_plain_variable_of_the_same_value() -> None:
    named = xtensor_shared(VALUES, dims=("a", "b"))
    [first], [second] = lowered([named]), lowered([named])
    assert first is second
    named.set_value(2 * VALUES)
    np.testing.assert_array_equal(first.get_value(), 2 * VALUES)
    first.set_value(VALUES)
    np.testing.assert_array_equal(named.get_value(), VALUES)


def test_graphs_lowered_together_share_their_variables() -> None:
    named = xtensor_shared(VALUES, dims=("a", "b"))
    inner = named + 1
    [one, two] = lowered([inner, (2 * inner).sum()])
    assert two.owner.inputs[0].owner.inputs[1] is one


def test_views_and_checks_of_named_variables_are_lowered() -> None:
    named = xtensor_shared(VALUES, dims=("a", "b"))
    checked = Assert("must hold")(view_op(named + 1), pt.constant(True))
    [plain] = lowered([checked])
    assert not has_named_dims([plain])
    np.testing.assert_array_equal(plain.eval(), VALUES + 1)


def test_random_generators_of_named_dims_are_lowered() -> None:
    generator = px.random.shared_rng(seed=1)
    _, draw = generator.normal(0, 1, extra_dims={"a": 3})
    [plain] = lowered([draw])
    assert not has_named_dims([plain])
    np.testing.assert_array_equal(plain.eval(), np.random.default_rng(1).normal(size=3))


def test_an_operation_that_cannot_be_lowered_is_named() -> None:
    class Odd(XOp):
        def make_node(self, x: object) -> pytensor.graph.basic.Apply:
            named = px.as_xtensor(x)
            return pytensor.graph.basic.Apply(self, [named], [named.type()])

        def __str__(self) -> str:
            return "Odd"

    named = xtensor_shared(VALUES, dims=("a", "b"))
    with pytest.raises(TypeError, match=r"(?s)`model` must use .*, got Odd\.\nHint: compute it"):
        lowered([Odd()(named)])
