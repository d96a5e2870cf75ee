"""Whose gradients a fit takes: JAX's own, or those that PyTensor derives and JAX compiles.

JAX's are tried first, since they are faster. A density and its gradient, on 100,000 rows x 20
columns and two cores, took 4.4 to 7.5 ms with JAX's and 7.7 to 10.3 ms with PyTensor's in a
logistic regression, 6.5 against 10.2 to 10.7 ms in a Poisson regression, and 15 to 17 against 18
to 21 ms in a negative binomial one. Where a model has branches JAX's may be NaN though the density
has a gradient, for instance of a Poisson with mean 0 and count 0. Then PyTensor's are taken.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from bayou.density.build import compile_graph_gradients
from bayou.density.evaluator import NO_DERIVATIVE, Evaluator
from bayou.fitting.rows.all_rows import MostAtOnce, all_row_blocks, resident_rows_obstacle

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program

_logger = logging.getLogger(__name__)

# Two draws from the prior and two close to the start (see ``StartCandidates``). Near the start
# alone an exponentially modified normal has gradients that later steps lose.
PRIOR_ATTEMPTS = (11, 12, 21, 22)


def choose_gradients(
    model: pm.Model,
    program: Program,
    positions: NDArray[np.float64],
    seed: int,
    most: MostAtOnce | None = None,
) -> Program:
    """Return the program with the gradients that are finite wherever the density is.

    Parameters
    ----------
    model : pymc.Model
        The model that the program is of.
    program : Program
        With JAX's gradients.
    positions : ndarray, shape (num_positions, size)
        Where gradients are tried, and at draws from the prior, on all rows if these are in memory.
        If they are not, rows that come later may be those without a gradient, and PyTensor's are
        taken at once.
    seed : int
        Seed of the draws from the prior.
    most : MostAtOnce, optional
        The rows and positions of a call: those of the fit, which then compiles nothing more.

    Returns
    -------
    Program
        The same one where its gradients do.
    """
    if not program.functions.may_lose_gradients():
        return program
    tried = np.vstack([positions, *_prior_positions(program, seed)])
    if _are_finite(program, tried, most or MostAtOnce()):
        return program
    return program_with_graph_gradients(model, program) or program


def program_with_graph_gradients(model: pm.Model, program: Program) -> Program | None:
    """Return the program with the gradients that PyTensor derives.

    Returns
    -------
    Program or None
        None if it has them already, if JAX's are as good, or if PyTensor's cannot be compiled.
    """
    if program.options.graph_gradients or not program.functions.may_lose_gradients():
        return None
    try:
        return compile_graph_gradients(model, program)
    except NotImplementedError as error:
        _logger.info("Gradients are JAX's, since PyTensor's cannot be compiled: %s", error)
        return None


def _prior_positions(program: Program, seed: int) -> list[NDArray[np.float64]]:
    """Return positions from the prior, and between these and the start; none without a prior."""
    try:
        return [program.start(seed, attempt) for attempt in PRIOR_ATTEMPTS]
    except NotImplementedError as error:
        _logger.info("Gradients are tried near the start alone: %s", error)
        return []


def _are_finite(program: Program, positions: NDArray[np.float64], most: MostAtOnce) -> bool:
    if resident_rows_obstacle(program):
        return False
    blocks = all_row_blocks(program, most.rows)
    evaluator = Evaluator(program, blocks, max_positions=most.positions)
    try:
        with np.errstate(all="ignore"):
            densities, gradients = evaluator.gradients(positions)
    except NO_DERIVATIVE as error:
        _logger.info("JAX has no gradient of the model: %s", error)
        return False
    return bool(np.isfinite(gradients[np.isfinite(densities)]).all())
