"""Traits of graphs: branches that lose gradients, and lengths that are computed from shapes."""

from collections.abc import Callable

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayou.density.graph_traits import may_have_local_optima
from bayou.density.jax_function import gradients_may_be_lost, jax_function, with_graph_gradients

ROWS = np.array([0.0, 1.0, 2.0, 4.0])


def masked(scale: pt.TensorVariable, rows: pt.TensorVariable) -> pt.TensorVariable:
    return pt.switch(rows > 0, -((pt.log(scale * rows)) ** 2), 0.0)


def test_gradients_of_branches_that_are_not_taken() -> None:
    scale, rows = pt.dscalar("scale"), pt.dvector("rows")
    outputs = [masked(scale, rows)]
    plain = jax_function([scale, rows], outputs, {})
    function = with_graph_gradients(plain, [scale, rows], outputs, {}, [scale])

    def slope(function: Callable[..., tuple[jax.Array]], at: float) -> jax.Array:
        return jax.grad(lambda scale: function(scale, ROWS)[0].sum())(at)

    assert np.isnan(slope(plain, 1.5))
    exact = -2 * np.log(1.5 * ROWS[1:]).sum() / 1.5
    assert slope(function, 1.5) == pytest.approx(exact, rel=1e-12)
    assert function(1.5, ROWS)[0] == pytest.approx(plain(1.5, ROWS)[0])
    _, curvature = jax.jvp(lambda at: slope(function, at), (1.5,), (1.0,))
    assert curvature == pytest.approx((-2 * 3 - exact * 1.5) / 1.5**2, rel=1e-12)
    several = jax.vmap(lambda at: slope(function, at))(np.array([1.5, 2.0]))
    assert several[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "lost"),
    [
        (masked, True),
        (lambda scale, rows: pt.maximum(pt.log(scale * rows), -5), True),
        (lambda scale, rows: pt.switch(rows > 0, scale**2, 0.0), False),
        (lambda scale, rows: pt.switch(rows > 0, pt.log(rows), 0.0) * scale, False),
        (lambda scale, rows: pt.log(scale) * rows, False),
        (lambda scale, rows: pt.softplus(scale * rows), False),
        (lambda scale, rows: pt.betainc(scale, 2.0, rows), True),
    ],
    ids=[
        "log in a branch",
        "maximum",
        "polynomial",
        "branch of data",
        "no branch",
        "softplus",
        "beta",
    ],
)
def test_where_gradients_may_be_lost(
    function: Callable[..., pt.TensorVariable], lost: bool
) -> None:
    scale, rows = pt.dscalar("scale"), pt.dvector("rows")
    outputs = [function(scale, rows)]
    assert gradients_may_be_lost([scale, rows], outputs, {}, [scale]) is lost


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: rows[: rows.shape[0] - 1] * rows[1:],
        lambda rows: pt.arange(rows.shape[0]) * rows,
        lambda rows: rows.reshape((rows.shape[0] // 2, 2)),
        lambda rows: pytensor.scan(
            lambda row, before: row + 0.5 * before,
            sequences=[rows[1:] * 2],
            outputs_info=[rows[0]],
            return_updates=False,
        ),
    ],
    ids=["slice", "range", "reshape", "scan"],
)
def test_lengths_come_from_shapes(function: Callable[..., pt.TensorVariable]) -> None:
    rows = pt.dvector("rows")
    compiled = jax.jit(jax_function([rows], [function(rows)], {}))
    exact = pytensor.function([rows], function(rows), mode="FAST_COMPILE")
    for length in (4, 6, 4):
        values = np.arange(1.0, 1 + length)
        np.testing.assert_allclose(compiled(values)[0], exact(values), rtol=1e-12)
    # One program for each length.
    assert compiled._cache_size() == 2


def forward(scale: pt.TensorVariable, rows: pt.TensorVariable) -> pt.TensorVariable:
    """Return a recursion over rows that sums over two states."""
    result: pt.TensorVariable = pytensor.scan(
        lambda row, before: pt.logaddexp(before + row, scale),
        sequences=[rows],
        outputs_info=[scale],
        return_updates=False,
    )
    return result[-1]


def recursion(scale: pt.TensorVariable, rows: pt.TensorVariable) -> pt.TensorVariable:
    """Return the last of numbers that each come from the one before."""
    result: pt.TensorVariable = pytensor.scan(
        lambda row, before: before + scale * row,
        sequences=[rows],
        outputs_info=[scale],
        return_updates=False,
    )
    return result[-1]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda scale, rows: pt.logsumexp(scale * rows), True),
        (pt.logaddexp, True),
        (lambda scale, rows: pt.log(pt.exp(scale * rows).sum()), True),
        (lambda scale, rows: pt.log(0.3 * pt.exp(scale * rows) + 0.7 * pt.exp(rows)), True),
        (forward, True),
        (recursion, True),
        (lambda scale, rows: pt.softplus(scale * rows), False),
        (lambda scale, rows: pt.log(scale + rows), False),
        (lambda scale, rows: pt.special.log_softmax(scale * rows), False),
        (lambda scale, rows: (scale - rows) ** 2, False),
    ],
    ids=[
        "logsumexp", "logaddexp", "log of sum", "log of two", "scan", "recursion", "softplus",
        "log", "softmax", "square",
    ],
)  # fmt: skip
def test_may_have_local_optima(function: Callable[..., pt.TensorVariable], expected: bool) -> None:
    assert may_have_local_optima([function(pt.dscalar("scale"), pt.dvector("rows"))]) is expected
