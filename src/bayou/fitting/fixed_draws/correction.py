"""Linear-response corrections of the standard deviations of a fit by independent normals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.density.evaluator import Evaluator
from bayou.errors import warn
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.fixed_draws.dadvi import FIRST_DRAWS, FIXED_DRAWS
from bayou.fitting.fixed_draws.linear_response import (
    ResponseError,
    linear_response,
    naming_failures,
)
from bayou.fitting.fixed_draws.optimize import MAX_DENSE, IndependentNormal
from bayou.fitting.fixed_draws.row_variables import latent_response
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.all_rows import all_row_blocks, all_rows_obstacle, all_rows_size

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
        If the correction fails, the same one with a ``reason`` that says so.

    Warns
    -----
    UserWarning
        If the correction fails. The fit is done, and nothing that follows may cost it.
    """
    program, latent = task.program, approximation.latent
    interrupted = approximation.interrupted
    if not required:
        failed = approximation.converged is False
        if failed or _obstacle(program, approximation.guide):
            return approximation
        if _work(program, latent) > CORRECTION_WORK:
            return approximation
    try:
        with naming_failures():
            if latent is not None:
                return _correct_row_variables(task, approximation, latent)
            return _correct(task, approximation)
    except ResponseError as error:
        reason = str(error)
    except KeyboardInterrupt:
        reason, interrupted = "the keyboard stopped the correction", True
    warn(
        f"The standard deviations are not corrected by linear response: {reason}.\n"
        'Hint: they are too small where variables are correlated; method="fullrank_advi" and '
        "by.sample have correlations of their own."
    )
    reason = f"{approximation.reason}; the standard deviations are not corrected: {reason}"
    return replace(approximation, reason=reason, interrupted=interrupted)


def _work(program: Program, latent: MeanFieldParams | None) -> float:
    """Return what a correction costs at least: draws x elements x values of the largest input."""
    if latent is not None:
        return 2.0 * FIRST_DRAWS * program.layout.size * latent.location.size
    return 2.0 * program.layout.size * all_rows_size(program)


def _correct(task: Task, approximation: Approximation) -> Approximation:
    """Correct the normals of the position, with as many draws as are affordable."""
    program, params = task.program, approximation.params
    size = program.layout.size
    affordable = 2 * CORRECTION_WORK // _work(program, None)
    draws = int(min(FIXED_DRAWS, affordable // 2 * 2))
    normal = IndependentNormal(
        approximation.frame,
        np.asarray(params.location, dtype=np.float64),
        np.asarray(params.log_scale, dtype=np.float64),
    )
    # Few normals have second moments far from one; a few corners of the cube have not.
    draw = antithetic_normals if draws == FIXED_DRAWS else antithetic_signs
    noise = draw(task.noise_seed, max(draws, 2), size)
    evaluator = Evaluator(program, all_row_blocks(program))
    covariance = linear_response(evaluator, normal, noise, program.layout.is_log)
    return _with_covariance(program, approximation, normal, covariance)


def _correct_row_variables(
    task: Task, approximation: Approximation, latent: MeanFieldParams
) -> Approximation:
    """Correct the normals of the position and of the variables with a value for each row."""
    program, frame, params = task.program, approximation.frame, approximation.params
    covariance, row_covariances = latent_response(program, frame, params, latent, task.noise_seed)
    variances = np.diagonal(row_covariances, axis1=1, axis2=2)
    factor = np.linalg.cholesky(row_covariances) if variances.shape[1] > 1 else None
    normal = IndependentNormal(frame, np.asarray(params.location), np.asarray(params.log_scale))
    log_scale = np.asarray(latent.log_scale)
    shift = _mean_shift(program.latent_layout.is_log, np.exp(2 * log_scale), variances)
    _check_finite(shift, np.log(variances))
    corrected_latent = MeanFieldParams(latent.location + shift, jnp.log(jnp.asarray(variances)) / 2)
    corrected = _with_covariance(program, approximation, normal, covariance)
    return replace(corrected, latent=corrected_latent, latent_factor=factor)


def _obstacle(program: Program, guide: Guide) -> str | None:
    """Return the reason why there is no correction, whatever it may cost; None without one."""
    size = program.layout.size
    if not isinstance(guide, MeanField):
        return f"the guide is {guide}, and only independent normals can be corrected"
    reason = None if program.latent is not None else all_rows_obstacle(program)
    if reason:
        return f"{reason}, and it needs the density of all rows"
    # Ten times the size up to which dense matrices are used unasked.
    if size > 10 * MAX_DENSE:
        return f"the model has {size} elements, and it takes matrices of {size} x {size}"
    return None


def _with_covariance(
    program: Program, approximation: Approximation, normal: IndependentNormal, covariance: Array
) -> Approximation:
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
