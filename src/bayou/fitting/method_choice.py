"""The method that fits a task: passes over all rows, fixed draws, or stochastic steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bayou.fitting.fixed_draws.dadvi import FIXED_DRAWS, fit_fixed_draws
from bayou.fitting.fixed_draws.pilot import PILOT_DRAWS
from bayou.fitting.passes.pass_fit import Unsettled, fit_passes, passes_obstacle
from bayou.fitting.passes.pass_rows import block_rows
from bayou.fitting.passes.shared_rows import shared_rows
from bayou.fitting.rows.all_rows import MostAtOnce, num_all_rows, resident_rows_obstacle
from bayou.fitting.rows.gradient_choice import program_with_graph_gradients
from bayou.fitting.stochastic.advi import fit_stochastic
from bayou.fitting.stochastic.distributed import distributed_run

if TYPE_CHECKING:
    import pymc as pm

    from bayou.density.program import Program
    from bayou.fitting.fit_options import FitOptions
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.rows.task import Task
    from bayou.fitting.stochastic.checkpoint import Checkpoint


def fit_task(
    task: Task, options: FitOptions, model: pm.Model, checkpoint: Checkpoint | None
) -> tuple[Task, Approximation]:
    """Fit by the method that the options and the model call for.

    Parameters
    ----------
    task : Task
        The model, its rows, the start and the seeds.
    options : FitOptions
        Those of the call.
    model : pymc.Model
        The model of the task.
    checkpoint : Checkpoint or None
        The file that steps are written to and resumed from.

    Returns
    -------
    task : Task
        The task, with other gradients of its program if these were needed.
    approximation : Approximation
        Passes correct its standard deviations themselves; the other methods do not.
    """
    approximation = _fit_by_method(task, options, model, checkpoint)
    failed = approximation.converged is False and not approximation.interrupted
    if failed and options.use_fixed_draws(task.program):
        # The line search may have met a NaN gradient of JAX far from the start.
        other = program_with_graph_gradients(model, task.program)
        if other is not None:
            task = replace(task, program=other)
            return task, _fit_by_method(task, options, model, None)
    return task, approximation


def check_fixed_draws(program: Program, options: FitOptions) -> None:
    """Check that no option is set that a fit on fixed draws does not use.

    Raises
    ------
    ValueError
        Names the option.
    """
    if options.cluster is not None and not may_use_passes(program, options):
        why = passes_obstacle(program) or "options that only steps take"
        raise ValueError(
            "`cluster` must come with rows in batches, which workers share, or with passes over "
            f"the rows, which do not do here, got a fit of all rows at once: {why}.\n"
            "Hint: pass a batch_size, such as by.fit(batch_size=4096)."
        )
    if options.optimizer is not None or options.num_particles != 1:
        argument = "num_particles" if options.optimizer is None else "optimizer"
        raise ValueError(
            f"`{argument}` must be left out with fixed draws, which are {FIXED_DRAWS} and are "
            'minimized by L-BFGS.\nHint: pass method="advi" to set it.'
        )
    if reason := resident_rows_obstacle(program):
        raise ValueError(
            f'`method="dadvi"` must have all rows in memory, but {reason}.\n'
            'Hint: pass method="advi".'
        )
    if options.checkpoint is not None:
        raise ValueError(
            "`checkpoint` must be left out with fixed draws, which take no steps to resume from.\n"
            'Hint: pass method="advi" for a fit that can be resumed.'
        )


def may_use_passes(program: Program, options: FitOptions) -> bool:
    """Return whether a fit first tries passes over all rows."""
    return options.may_use_passes and passes_obstacle(program) is None


def most_at_once(program: Program, options: FitOptions) -> MostAtOnce:
    """Return the rows and positions of a call that the code of a fit is compiled for."""
    if not may_use_passes(program, options):
        return MostAtOnce()
    return MostAtOnce(block_rows(num_all_rows(program)), PILOT_DRAWS)


def _fit_by_method(
    task: Task, options: FitOptions, model: pm.Model, checkpoint: Checkpoint | None
) -> Approximation:
    if not may_use_passes(task.program, options):
        return _fit_steps(task, options, model, checkpoint)
    most = block_rows(num_all_rows(task.program))
    with shared_rows(options.cluster, model, task.program, most, PILOT_DRAWS) as shared:
        fitted = fit_passes(task, corrected=options.correction is not None, shared=shared)
    if isinstance(fitted, Unsettled):
        if options.cluster is not None and options.use_fixed_draws(task.program):
            raise ValueError(
                "`cluster` must come with rows in batches, which workers share, where passes over "
                f"all rows do not do, got a fit of all rows at once: {fitted.reason}.\n"
                "Hint: pass a batch_size, such as by.fit(batch_size=4096), or leave `cluster` out."
            )
        other = _fit_steps(task, options, model, checkpoint)
        reason = f"{other.reason}; a few passes over the rows did not do, since {fitted.reason}"
        return replace(other, reason=reason)
    return fitted


def _fit_steps(
    task: Task, options: FitOptions, model: pm.Model, checkpoint: Checkpoint | None
) -> Approximation:
    """Fit on fixed draws or by stochastic steps, without a correction."""
    if options.use_fixed_draws(task.program):
        return fit_fixed_draws(task, options.num_steps)
    with distributed_run(options.cluster, model, task, options.order) as distributed:
        return fit_stochastic(
            task,
            options.guide,
            options.num_steps,
            options.num_particles,
            options.optimizer,
            options.tolerance,
            rotated=options.rotated if checkpoint is None else checkpoint.identity["rotated"],
            checkpoint=checkpoint,
            distributed=distributed,
        )
