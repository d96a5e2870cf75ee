"""The layout of a flat position: sizes, marks of logarithms, and variables cut out of it."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.density.flat_position import Layout

LAYOUT = Layout(("a", "b", "c"), ((), (2, 3), (2,)), (False, True, False))
SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple), min_size=1, max_size=5)


def test_layout_sizes() -> None:
    assert LAYOUT.sizes == (1, 6, 2)
    assert LAYOUT.size == 9
    np.testing.assert_array_equal(LAYOUT.is_log, [False] + [True] * 6 + [False] * 2)
    assert LAYOUT.is_log.dtype == bool


@pytest.mark.parametrize("leading", [(), (4,), (5, 4)])
@pytest.mark.parametrize("xp", [np, jnp])
def test_layout_splits_a_position(leading: tuple[int, ...], xp: Any) -> None:
    position = xp.arange(9.0 * int(np.prod(leading))).reshape(*leading, 9)
    parts = LAYOUT.split(position)
    assert [part.shape for part in parts] == [leading, (*leading, 2, 3), (*leading, 2)]
    flat = [np.reshape(part, (*leading, -1)) for part in parts]
    np.testing.assert_array_equal(np.concatenate(flat, axis=-1), position)


def test_a_variable_without_elements_takes_no_place() -> None:
    parts = Layout(("a", "b"), ((0, 3), (2,)), (False, False)).split(np.arange(2.0))
    assert [part.shape for part in parts] == [(0, 3), (2,)]


@given(SHAPES)
def test_variables_put_together_are_the_position(shapes: list[tuple[int, ...]]) -> None:
    names = tuple(map(str, range(len(shapes))))
    layout = Layout(names, tuple(shapes), (False,) * len(shapes))
    position = np.arange(float(layout.size))
    parts = layout.split(position)
    assert [part.shape for part in parts] == shapes
    assert [part.size for part in parts] == list(layout.sizes)
    np.testing.assert_array_equal(np.concatenate([part.ravel() for part in parts]), position)


@given(SHAPES, st.data())
def test_each_element_of_a_log_is_marked(shapes: list[tuple[int, ...]], data: Any) -> None:
    logs = data.draw(st.lists(st.booleans(), min_size=len(shapes), max_size=len(shapes)))
    layout = Layout(tuple(map(str, range(len(shapes)))), tuple(shapes), tuple(logs))
    assert layout.is_log.shape == (layout.size,)
    for flag, part in zip(logs, layout.split(layout.is_log), strict=True):
        assert (part == flag).all()
