"""Codes inside of loops and of distributions of a user's own are checked as all others are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.containers.index_bounds import check_indices
from bayou.containers.inner_indices import indexed_axes

CODES = np.arange(6) % 3


def custom_density(codes: Any, effect: Any) -> None:
    def logp(value: Any, codes: Any, effect: Any) -> Any:
        return pm.logp(pm.Normal.dist(effect[codes], 1), value)

    pm.CustomDist("o", codes, effect, logp=logp, observed=np.zeros(6))


def custom_graph(codes: Any, effect: Any) -> None:
    def draw(codes: Any, effect: Any, size: Any) -> Any:
        return pm.Normal.dist(effect[codes], 1)

    signature = "(n),(k)->(n)"
    pm.CustomDist("o", codes, effect, dist=draw, signature=signature, observed=np.zeros(6))


def scan(step: Callable[..., Any], codes: Any, start: Any, *constant: Any) -> Any:
    return pytensor.scan(
        step,
        sequences=[codes],
        outputs_info=[start],
        non_sequences=[*constant],
        return_updates=False,
    )


def effects_in_a_loop(codes: Any, effect: Any) -> None:
    start = pt.constant(0.0, dtype="float64")
    values = scan(lambda code, level, effect: level / 2 + effect[code], codes, start, effect)
    pm.Normal("o", values, 1, observed=np.zeros(6))


def states_of_a_loop(codes: Any, effect: Any) -> None:
    def learn(code: Any, state: Any) -> Any:
        return pt.set_subtensor(state[code], state[code] / 2 + 1)

    pm.Normal("o", scan(learn, codes, effect)[:, 0], 1, observed=np.zeros(6))


WRITE = [custom_density, custom_graph, effects_in_a_loop, states_of_a_loop]


@pytest.mark.parametrize("write", WRITE)
def test_codes_inside_are_levels(write: Callable[[Any, Any], None]) -> None:
    with pm.Model() as model:
        codes = by.Data("code", CODES, dims="row")
        write(codes, pm.Normal("effect", shape=3))
    check_indices(model)
    for wrong in (3, -1):
        changed = np.where(np.arange(6) == 4, wrong, CODES)
        text = (
            rf"'code' must hold indices of .*, which has 3 levels .* got {wrong} in row 4\.\nHint"
        )
        with pytest.raises(IndexError, match=text):
            check_indices(model, {codes: changed})


def test_codes_that_are_computed_in_a_loop_are_left_to_it() -> None:
    def walk(code: Any, place: Any, effect: Any) -> Any:
        return (place + code + effect[place].astype("int64") * 0) % 3

    codes = pytensor.shared(CODES, name="code")
    places = scan(walk, codes, pt.constant(0, dtype="int64"), pt.ones(3))
    [node] = [each.owner for each in [places.owner.inputs[0]] if each.owner is not None]
    assert list(indexed_axes(node)) == []
