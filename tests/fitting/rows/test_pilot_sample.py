"""Samples of rows before the first step: extremes are among those that check the start."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.density.program import Program
from bayou.fitting.rows.feeds import closing_feeds, program_feeds
from bayou.fitting.rows.pilot_sample import PILOT_ROWS, first_inputs, pilot_block

NUM_ROWS = 500
GROUP = np.arange(NUM_ROWS) % 7
GROUP[[123, 345]] = -5, 99
Y = np.arange(float(NUM_ROWS))


def program_with(group: Any, observed: Any) -> Program:
    with pm.Model() as model:
        effect = pm.Normal("effect", shape=3)
        pm.Normal("y", effect[group], 1, observed=observed, total_size=NUM_ROWS)
    return compile_program(model)


def in_memory() -> Program:
    return program_with(by.Minibatch(GROUP, 10), by.Minibatch(Y, 10))


def on_disk() -> Program:
    rows = by.source({"group": GROUP, "y": Y})
    return program_with(
        *(by.Minibatch(rows[name], 10, in_memory_size=50) for name in ("group", "y"))
    )


def parts(inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the groups and the observed rows among the inputs of a program."""
    group, y = sorted(inputs[:2], key=lambda part: part.dtype.kind == "f")
    return group, y


@pytest.mark.parametrize("make", [in_memory, on_disk])
def test_the_first_inputs_have_the_extreme_rows(make: Any) -> None:
    program = make()
    feeds = program_feeds(program, "epoch", 1)
    with closing_feeds(feeds):
        inputs, extremes = first_inputs(program, feeds)
    group, y = parts(inputs)
    assert {-5, 99} <= set(group.tolist())
    # Rows stay together.
    np.testing.assert_array_equal(GROUP[y.astype(int)], group)
    [(_, found)] = extremes
    assert set(found.rows.ravel()) == {123, 345}


def test_no_item_of_a_generator_is_consumed() -> None:
    def items() -> Iterator[np.ndarray]:
        for number in range(100):
            yield np.full(5, float(number))

    variable = by.generator(items())
    program = program_with(np.zeros(5, int), variable)
    feeds = program_feeds(program, "epoch", 1)
    inputs, extremes = first_inputs(program, feeds)
    np.testing.assert_array_equal(inputs[0], 0)
    assert list(extremes) == []
    pilot_block(program, feeds, 1)
    np.testing.assert_array_equal(variable.eval(), 0)


def test_a_pilot_takes_some_thousands_of_rows() -> None:
    program = in_memory()
    feeds = program_feeds(program, "epoch", 1)
    block = pilot_block(program, feeds, 1)
    group, y = parts(block.inputs)
    assert len(y) >= PILOT_ROWS
    np.testing.assert_array_equal(GROUP[y.astype(int)], group)
    assert block.share == 1
    assert block.weights is None
    again, other = (pilot_block(program, feeds, seed) for seed in (1, 2))
    np.testing.assert_array_equal(y, parts(again.inputs)[1])
    assert not np.array_equal(y, parts(other.inputs)[1])


def test_weights_of_rows_come_along() -> None:
    program = in_memory()
    feeds = program_feeds(program, by.Weighted(np.arange(1.0, NUM_ROWS + 1)), 1)
    with closing_feeds(feeds):
        block = pilot_block(program, feeds, 1)
    assert block.weights is not None
    assert len(block.weights) == len(block.inputs[0])


def test_a_potential_of_a_batch_has_one_batch() -> None:
    with pm.Model() as model:
        pm.Potential("pull", (by.Minibatch(Y, 10) - pm.Normal("mu")).sum())
    program = compile_program(model)
    block = pilot_block(program, program_feeds(program, "epoch", 1), 1)
    assert block.inputs[0].shape == (10,)
