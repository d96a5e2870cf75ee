"""All rows in blocks: each row once, padded with rows of weight zero, in few sizes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import bayou as by
from bayou.density.build import compile_program
from bayou.density.compiled_functions import BlockSizes
from bayou.density.program import Program
from bayou.fitting.rows.all_rows import (
    MAX_PADDING,
    all_row_blocks,
    all_rows_density,
    all_rows_obstacle,
    all_rows_padded,
    all_rows_size,
    resident_rows_obstacle,
)
from bayou.models.inputs import storage_of

NUM_ROWS = 40
Y = np.arange(float(NUM_ROWS))


def items() -> Iterator[np.ndarray]:
    while True:
        yield np.zeros(4)


def normal(observed: Any, **options: Any) -> pm.Model:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=observed, **options)
    return model


def windows() -> Any:
    return by.source(lambda: iter([{"y": Y, "z": 2 * Y}]), num_rows=NUM_ROWS)


@pytest.fixture(scope="module")
def batched() -> Program:
    return compile_program(normal(by.Minibatch(Y, 4), total_size=NUM_ROWS))


def of_rows(program: Program, num_rows: int) -> Program:
    """Put other rows into the minibatch, and forget which sizes were compiled."""
    storage_of(program.fed[0]).set_value(np.arange(float(num_rows)))
    return replace(program, block_sizes=BlockSizes())


@given(num_rows=st.integers(4, 300), max_rows=st.integers(1, 320))
def test_blocks_have_each_row_once(batched: Program, num_rows: int, max_rows: int) -> None:
    blocks = list(all_row_blocks(of_rows(batched, num_rows), max_rows))
    assert sum(block.share for block in blocks) == pytest.approx(1)
    assert len({block.inputs[0].shape for block in blocks}) == 1
    seen: list[float] = []
    for block in blocks:
        assert block.weights is not None
        assert block.weights.mean() == pytest.approx(1)
        count = np.count_nonzero(block.weights)
        seen += block.inputs[0][:count].tolist()
        # The padding repeats the last row.
        assert (block.inputs[0][count:] == block.inputs[0][count - 1]).all()
        assert not block.weights[count:].any()
    assert seen == list(range(num_rows))


def test_a_size_that_was_compiled_is_used_again(batched: Program) -> None:
    program = of_rows(batched, 100)
    sizes = {}
    for num_rows in (100, 90, 20, 7, 6):
        storage_of(program.fed[0]).set_value(np.zeros(num_rows))
        padded = all_rows_padded(program)
        assert padded is not None
        sizes[num_rows] = padded.num_rows
    # Up to MAX_PADDING times the rows; then a size of its own, rounded up to four binary digits.
    assert sizes == {100: 104, 90: 104, 20: 104, 7: 104, 6: 6}
    assert 7 * MAX_PADDING >= 104
    assert 6 * MAX_PADDING < 104


def test_the_density_is_of_the_present_rows(batched: Program) -> None:
    positions = np.array([[0.0], [1.5]])
    for num_rows in (40, 25):
        of_rows(batched, num_rows)
        rows = np.arange(float(num_rows))
        likelihood = stats.norm.logpdf(rows, positions).sum(1)
        # The model says that there are 40 rows.
        expected = stats.norm.logpdf(positions[:, 0]) + likelihood * NUM_ROWS / num_rows
        density = all_rows_density(batched)
        assert density.obstacle is None
        np.testing.assert_allclose(density(positions), expected)
        assert all_rows_size(batched) == num_rows


def test_other_axes_are_one_block() -> None:
    observed = by.Minibatch(Y.reshape(8, 5), [4, 2])
    program = compile_program(normal(observed, total_size=(8, 5)))
    [block] = all_row_blocks(program, 3)
    assert block.weights is None
    assert block.inputs[0].shape == (8, 5)
    assert all_rows_padded(program) is None
    assert all_rows_size(program) == 40


def test_rows_that_are_not_in_memory_are_read_anew_in_each_pass() -> None:
    observed = by.Minibatch(windows()["y"], 4, in_memory_size=8)
    program = compile_program(normal(observed, total_size=NUM_ROWS))
    assert all_rows_obstacle(program) is None
    assert resident_rows_obstacle(program) == "only a part of the rows is in memory"
    assert all_rows_size(program) == NUM_ROWS
    blocks = all_row_blocks(program, 16)
    for _ in range(2):
        rows = [row for block in blocks for row in block.inputs[0][block.weights > 0]]
        np.testing.assert_array_equal(rows, Y)


def of_batches() -> pm.Model:
    with pm.Model() as model:
        pm.Potential("pull", (by.Minibatch(Y, 4) - pm.Normal("mu")).sum())
    return model


def of_two_sources() -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        z = by.Minibatch(windows()["z"], 4, in_memory_size=8)
        pm.Normal("z", mu, 1, observed=z, total_size=NUM_ROWS)
        pm.Normal("y", mu, 1, observed=by.Minibatch(Y, 4), total_size=NUM_ROWS)
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: normal(by.generator(items()), total_size=40), "the rows come from a generator"),
        (of_batches, "the potential 'pull' is of the rows of one batch"),
        (of_two_sources, "the rows come from a source and from elsewhere"),
    ],
)
def test_obstacles(model: Any, reason: str) -> None:
    program = compile_program(model())
    assert all_rows_obstacle(program) == reason
    density = all_rows_density(program)
    assert density.obstacle == reason
    for call in (lambda: all_row_blocks(program), lambda: density(np.zeros((1, 1)))):
        with pytest.raises(ValueError, match=f"on all of its rows: {reason}"):
            call()
