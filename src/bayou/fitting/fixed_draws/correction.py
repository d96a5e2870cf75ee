"""Linear-response corrections of the standard deviations of a fit by independent normals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.density.evaluator import Evaluator
from bayou.errors import warn
from bayou.feeding.memory import free_memory
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.fixed_draws.dadvi import FIRST_DRAWS, FIXED_DRAWS
from bayou.fitting.fixed_draws.linear_response import (
    ResponseError,
    linear_response,
    naming_failures,
)
from bayou.fitting.fixed_draws.optimize import MAX_DENSE, IndependentNormal
from bayou.fitting.fixed_draws.row_variables import RESPONSE_ROWS, latent_response
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.all_rows import (
    all_row_blocks,
    all_rows_obstacle,
    all_rows_size,
    has_weighted_rows,
    num_all_rows,
    resident_rows_obstacle,
    sampled_blocks,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.guides import Guide
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

# The most that a correction may cost unless it is asked for: draws x elements x values of the
# largest input. It trades the time at the end of a fit against standard deviations.
CORRECTION_WORK = 2e8
# The most elements: ten times the size up to which dense matrices are used unasked.
MAX_CORRECTED = 10 * MAX_DENSE
# Rows of a sample that gives the covariance where all rows cost too much: the fewest, and those of
# a block.
MIN_SAMPLE = 10_000
BLOCK_ROWS = 2**14
# The ELBO may fall by so many nats for each element, and so many standard errors.
FALL = 0.1
ERRORS = 3.0


def check_correctable(program: Program, guide: Guide) -> None:
    """Check before a fit that its standard deviations can be corrected.

    Raises
    ------
    ValueError
        If they cannot; gives the reason.
    """
    if obstacle := _obstacle(program, guide):
        raise ValueError(
            f'`correction="linear_response"` is not possible: {obstacle}.\n'
            'Hint: leave `correction="auto"`, which corrects where it can.'
        )


def correct_stds(task: Task, approximation: Approximation, required: bool) -> Approximation:
    """Return the approximation with linear-response standard deviations, where possible.

    Variables that are fitted on the log scale keep the means that they had, in the space of the
    model, without the correction: there, a wider normal would raise them.

    Parameters
    ----------
    task : Task
        The fit.
    approximation : Approximation
        Its result.
    required : bool
        Whether to correct whatever it costs. Otherwise a fit that did not converge, or whose
        correction would be too expensive, is returned unchanged.

    Returns
    -------
    Approximation
        If the correction fails, the same one with a ``reason`` that says so. The fit is done, and
        nothing that follows may cost it.
    """
    if approximation.correction is not None:
        return approximation
    latent = approximation.latent
    interrupted = approximation.interrupted
    if not required:
        reason = _reason_to_skip(task, approximation)
        if reason is not None:
            return replace(approximation, correction=f"none: {reason}")
    try:
        with naming_failures():
            if latent is not None:
                return _correct_row_variables(task, approximation, latent)
            return _correct(task, approximation, required)
    except ResponseError as error:
        reason = str(error)
    except KeyboardInterrupt:
        reason, interrupted = "the keyboard stopped the correction", True
    ended = f"{approximation.reason}; the standard deviations are not corrected: {reason}"
    return replace(
        approximation,
        reason=ended,
        correction=f"none: {reason}",
        uncorrected=reason,
        interrupted=interrupted,
    )


def warn_unless_corrected(approximation: Approximation) -> None:
    """Warn of a correction that failed, unless other draws took the place of the fit's.

    Warns
    -----
    UserWarning
        If the fit has the standard deviations without it.
    """
    if approximation.uncorrected is not None and approximation.resampled is None:
        warn_uncorrected(approximation.uncorrected)


def warn_uncorrected(reason: str) -> None:
    """Warn that a correction failed, so that the fit has the standard deviations without it."""
    warn(
        f"The standard deviations are not corrected by linear response: {reason}.\n"
        'Hint: they are too small where variables are correlated; method="fullrank_advi" and '
        "by.sample have correlations of their own."
    )


def _reason_to_skip(task: Task, approximation: Approximation) -> str | None:
    """Return why a fit is not corrected unless that is asked for; None if it is.

    Warns
    -----
    UserWarning
        If the reason is what a correction would cost.
    """
    program = task.program
    if approximation.converged is False:
        return "the fit did not converge"
    if reason := _obstacle(program, approximation.guide):
        if isinstance(approximation.guide, MeanField) and program.layout.size > MAX_CORRECTED:
            _warn_of_cost(f"it takes matrices of {program.layout.size} x {program.layout.size}")
        return reason
    work = _work(program, approximation.latent)
    if work <= CORRECTION_WORK or _sample_size(program, approximation.latent):
        return None
    cost = f"it would take {work:.2g} products, more than {CORRECTION_WORK:.2g}"
    _warn_of_cost(cost)
    return cost


def _warn_of_cost(cost: str) -> None:
    warn(
        f"The standard deviations are not corrected by linear response, since {cost}.\n"
        'Hint: they are too small where variables are correlated; correction="linear_response" '
        "corrects them whatever it costs, and correction=None leaves it out without this warning."
    )


def _work(program: Program, latent: MeanFieldParams | None) -> float:
    """Return what a correction costs at least: draws x elements x values of the largest input."""
    if latent is not None:
        # A row has a matrix of its own elements, and one of these and the position.
        size = program.layout.size + program.latent_layout.size
        return 2.0 * FIRST_DRAWS * size * latent.location.size
    return 2.0 * program.layout.size * all_rows_size(program)


def _sample_size(program: Program, latent: MeanFieldParams | None) -> int | None:
    """Return the number of rows of a sample that can be afforded, None if that is too small."""
    if latent is not None or resident_rows_obstacle(program) or not has_weighted_rows(program):
        return None
    num_rows = num_all_rows(program)
    affordable = int(num_rows * CORRECTION_WORK / _work(program, None))
    return affordable if affordable >= MIN_SAMPLE else None


def _correct(task: Task, approximation: Approximation, required: bool) -> Approximation:
    """Correct the normals of the position, with as many draws as are affordable."""
    program, params = task.program, approximation.params
    size = program.layout.size
    normal = IndependentNormal(
        approximation.frame,
        np.asarray(params.location, dtype=np.float64),
        np.asarray(params.log_scale, dtype=np.float64),
    )
    work, blocks, kind = _work(program, None), None, "linear_response"
    if not required and work > CORRECTION_WORK:
        num_rows, count = num_all_rows(program), _sample_size(program, None) or 0
        blocks = task.counter.counted(
            sampled_blocks(program, count, BLOCK_ROWS, task.row_seed), count / num_rows
        )
        work, kind = CORRECTION_WORK, f"linear_response on {count:,} of {num_rows:,} rows"
    draws = int(min(FIXED_DRAWS, 2 * CORRECTION_WORK // work // 2 * 2))
    # Few normals have second moments far from one; a few corners of the cube have not.
    draw = antithetic_normals if draws == FIXED_DRAWS else antithetic_signs
    noise = draw(task.noise_seed, max(draws, 2), size)
    evaluator = Evaluator(program, blocks or task.counter.counted(all_row_blocks(program)))
    covariance = linear_response(evaluator, normal, noise, program.layout.is_log)
    corrected = with_covariance(program, approximation, normal, covariance)
    after = IndependentNormal(corrected.frame, np.zeros(size), np.zeros(size))
    check_elbo(evaluator, normal, after, task.noise_seed + 1)
    return replace(corrected, correction=kind)


def check_elbo(
    evaluator: Evaluator, before: IndependentNormal, after: IndependentNormal, seed: int
) -> None:
    """Check that a corrected normal has not a lower ELBO, at fresh draws.

    Parameters
    ----------
    evaluator : Evaluator
        The model, on all rows or on a sample of them.
    before, after : IndependentNormal
        The normals without and with the correction.
    seed : int
        Decides the draws, which are the same for both.

    Raises
    ------
    ResponseError
        If the ELBO fell, beyond its Monte Carlo error and what a small change of scales costs.
    """
    size = len(before.location)
    # Their second moments are exact, so that few draws do.
    noise = antithetic_signs(seed, FIRST_DRAWS, size)
    elbos = []
    for normal in (before, after):
        steps = np.exp(normal.log_scale) * noise
        densities, _ = evaluator.gradients(normal.frame.positions(normal.location + steps))
        entropy = normal.frame.log_determinant + normal.log_scale.sum()
        # Draws of opposite sign are not independent.
        elbos.append(densities.reshape(2, -1).mean(axis=0) + entropy)
    rise = elbos[1] - elbos[0]
    error = float(rise.std(ddof=1) / np.sqrt(len(rise)))
    if not rise.mean() >= -FALL * (size + 1) - ERRORS * error:
        raise ResponseError(f"the ELBO at fresh draws fell by {-rise.mean():.3g} nats with it")


def _correct_row_variables(
    task: Task, approximation: Approximation, latent: MeanFieldParams
) -> Approximation:
    """Correct the normals of the position and of the variables with a value for each row."""
    program, frame, params = task.program, approximation.frame, approximation.params
    _check_row_memory(program, len(latent.location))
    covariance, row_covariances = latent_response(program, frame, params, latent, task.noise_seed)
    variances = np.diagonal(row_covariances, axis1=1, axis2=2)
    factor = np.linalg.cholesky(row_covariances) if variances.shape[1] > 1 else None
    normal = IndependentNormal(frame, np.asarray(params.location), np.asarray(params.log_scale))
    log_scale = np.asarray(latent.log_scale)
    shift = _mean_shift(program.latent_layout.is_log, np.exp(2 * log_scale), variances)
    _check_finite(shift, np.log(variances))
    corrected_latent = MeanFieldParams(latent.location + shift, jnp.log(jnp.asarray(variances)) / 2)
    corrected = with_covariance(program, approximation, normal, covariance)
    return replace(corrected, latent=corrected_latent, latent_factor=factor)


def _check_row_memory(program: Program, num_rows: int) -> None:
    """Check that there is memory for the matrices of the rows that are computed at once."""
    width, size = 2 * program.latent_layout.size, 2 * program.layout.size
    num_bytes = 8 * min(num_rows, RESPONSE_ROWS) * width * (width + size)
    if num_bytes > free_memory() / 2:
        raise ResponseError(
            f"the matrices of rows of {program.latent_layout.size} elements take "
            f"{num_bytes / 1e9:.0f} GB, and half of the free memory is {free_memory() / 2e9:.0f} GB"
        )


def _obstacle(program: Program, guide: Guide) -> str | None:
    """Return the reason why there is no correction, whatever it may cost; None without one."""
    size = program.layout.size
    if not isinstance(guide, MeanField):
        return f"the guide is {guide}, and only independent normals can be corrected"
    reason = None if program.latent is not None else all_rows_obstacle(program)
    if reason:
        return f"{reason}, and it needs the density of all rows"
    if size > MAX_CORRECTED:
        return f"the model has {size} elements, and it takes matrices of {size} x {size}"
    return None


def with_covariance(
    program: Program, approximation: Approximation, normal: IndependentNormal, covariance: Array
) -> Approximation:
    """Return a corrected approximation: the normal with another covariance.

    The means of variables that are fitted as logs stay, in the space of the model.

    Raises
    ------
    ResponseError
        If the covariance or a mean is not finite.
    """
    shift = _mean_shift(program.layout.is_log, normal.variances, np.diag(covariance))
    standard = MeanFieldParams(jnp.zeros(len(shift)), jnp.zeros(len(shift)))
    frame = Frame(normal.mean + shift, np.linalg.cholesky(covariance))
    _check_finite(frame.origin, frame.factor)
    return replace(approximation, params=standard, frame=frame, correction="linear_response")


def _mean_shift(is_log: NDArray[np.bool_], before: Array, after: Array) -> Array:
    """Return what keeps the means of log-normals, exp(mean + variance / 2), where they were."""
    return np.where(is_log, (before - after) / 2, 0.0)


def _check_finite(*arrays: Array) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ResponseError("the response is not finite")
