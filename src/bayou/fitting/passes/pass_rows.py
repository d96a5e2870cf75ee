"""The rows of a fit by passes: a block for the pilot, a sample, and all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bayou.density.evaluator import Evaluator
from bayou.feeding.read import take_numbered
from bayou.fitting.fixed_draws.antithetic import antithetic_normals
from bayou.fitting.fixed_draws.pilot import PILOT_DRAWS
from bayou.fitting.passes.newton_passes import PassDensity
from bayou.fitting.passes.shared_rows import SharedEvaluator
from bayou.fitting.rows.all_rows import all_row_blocks, num_all_rows, sampled_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayou.density.evaluator import Block
    from bayou.fitting.passes.shared_rows import SharedRows
    from bayou.fitting.rows.task import Task

# Rows of a block: an array of 8 draws is 1 MB, which stays in the caches of a core. The pilot takes
# one block, so that it compiles the code of the passes. Of few rows it takes an eighth, but not
# fewer than LEAST_ROWS.
BLOCK_ROWS = 2**14
LEAST_ROWS = 2**11
# Rows of the sample, which gives the covariance of more than ``pass_fit.ALL_ROWS`` of them. Its
# standard deviations were at most 0.6% off in a logistic regression with 20 columns.
SAMPLE_ROWS = 2**17
# Draws of the priors.
PRIOR_DRAWS = 128


@dataclass(frozen=True)
class PassRows:
    """The rows of a fit by passes, as densities on several parts of them.

    Attributes
    ----------
    pilot : Evaluator
        On one block.
    sample, all : PassDensity
        On a sample of the rows, and on all of them.
    num_sampled, num_rows : int
        The numbers of their rows.
    """

    pilot: Evaluator
    sample: PassDensity
    all: PassDensity
    num_sampled: int
    num_rows: int


def block_rows(num_rows: int) -> int:
    """Return the most rows of a block."""
    return min(BLOCK_ROWS, max(LEAST_ROWS, num_rows // 8))


def open_pass_rows(task: Task, shared: SharedRows | None) -> PassRows:
    """Return the rows of a task, on the workers of a cluster if these share them."""
    program = task.program
    size, num_rows = program.layout.size, num_all_rows(program)
    num_sampled = min(SAMPLE_ROWS, num_rows)
    most = block_rows(num_rows)
    take = take_numbered if shared is None else shared.take
    sample = sampled_blocks(program, num_sampled, most, task.row_seed, take)
    part = num_sampled / num_rows
    # Blocks of wide rows that are not in memory are smaller.
    first = sample[: math.ceil(most / sample[0].num_rows)]
    of_pilot = sum(block.share for block in first)
    first = [replace(block, share=block.share / of_pilot) for block in first]
    prior_noise = antithetic_normals(task.noise_seed, PRIOR_DRAWS, size)

    def evaluator(blocks: Iterable[Block], part: float) -> Evaluator:
        return Evaluator(program, task.counter.counted(blocks, part), max_positions=PILOT_DRAWS)

    priors = Evaluator(program, [replace(first[0], share=1.0)], without_rows=True)
    if shared is None:
        in_blocks = sample if num_sampled == num_rows else all_row_blocks(program, most)
        all_rows = evaluator(in_blocks, 1.0)
    else:
        all_rows = SharedEvaluator(
            program, (), max_positions=PILOT_DRAWS, rows=shared, counter=task.counter
        )
    return PassRows(
        pilot=evaluator(first, part * of_pilot),
        sample=PassDensity(evaluator(sample, part), priors, prior_noise),
        all=PassDensity(all_rows, priors, prior_noise),
        num_sampled=num_sampled,
        num_rows=num_rows,
    )
