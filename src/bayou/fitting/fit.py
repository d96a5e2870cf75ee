"""Variational inference on a PyMC model: from its containers to a :class:`Fit`.

:func:`fit` checks its options and the model, opens the feeds of its rows, and hands a task to one
of two methods: fixed draws of all rows (`fixed_draws`), or stochastic steps (`stochastic`). A
correction of the standard deviations follows where it is possible and affordable.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import seed_number
from bayou.batching.batched import batched_program, program_of_rows
from bayou.batching.data_checks import check_imputed_values, check_integers, check_minibatches
from bayou.batching.row_dim import holds_minibatches
from bayou.batching.row_independence import check_likelihood
from bayou.cluster.ray import resolve_cluster
from bayou.compression.compress_option import check_compress, choose_compression
from bayou.compression.weighted_model import weighted_model
from bayou.containers.context import takes_model_first
from bayou.containers.data_access import reading_data
from bayou.containers.index_bounds import check_indices
from bayou.density.build import compile_program
from bayou.density.non_finite import find_start
from bayou.density.unsupported import check_trace
from bayou.feeding.source_batches import windowed_feeds
from bayou.fitting.checks.check import check_fit
from bayou.fitting.convergence_hint import warn_unless_converged
from bayou.fitting.fit_options import FitOptions
from bayou.fitting.fixed_draws.correction import (
    check_correctable,
    correct_stds,
    warn_unless_corrected,
)
from bayou.fitting.fixed_draws.dadvi import first_positions
from bayou.fitting.method_choice import (
    check_fixed_draws,
    fit_task,
    may_use_passes,
    most_at_once,
)
from bayou.fitting.option_fingerprint import optimizer_fingerprint, order_fingerprint
from bayou.fitting.result.fit_result import Fit
from bayou.fitting.result.verdict import warn_unless_good
from bayou.fitting.rows.all_rows import all_rows_density
from bayou.fitting.rows.feeds import closing_feeds, compile_row_order
from bayou.fitting.rows.gradient_choice import choose_gradients
from bayou.fitting.rows.index_checks import check_source_indices, checked_feeds
from bayou.fitting.rows.pilot_sample import first_inputs
from bayou.fitting.rows.task import Task
from bayou.fitting.stochastic.checkpoint import open_checkpoint
from bayou.models.plain.plain_model import read_model
from bayou.progress import step_progress
from bayou.provenance.fingerprint import data_fingerprint
from bayou.provenance.model_provenance import provenance_for_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import optax
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.arguments import RandomSeed
    from bayou.cluster.ray import Ray
    from bayou.containers.context import ModelLike
    from bayou.density.program import Program
    from bayou.feeding.source_batches import AnyOrder
    from bayou.fitting.guides import Guide
    from bayou.fitting.stochastic.checkpoint import Checkpoint

    type Array = NDArray[np.float64]


@takes_model_first
def fit(
    n: int | str = "auto",
    method: str | Guide = "auto",
    *,
    model: ModelLike | None = None,
    batch_size: int | None = None,
    batch_dim: str | None = None,
    validate: bool = True,
    weights: str | None = None,
    compress: bool | str = "auto",
    order: AnyOrder = "epoch",
    num_particles: int = 1,
    optimizer: optax.GradientTransformation | None = None,
    tolerance: float = 0.1,
    correction: str | None = "auto",
    random_seed: RandomSeed | None = None,
    progressbar: bool = True,
    callback: Callable[[int, Array], None] | None = None,
    cluster: str | Ray | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
) -> Fit:
    """Fit a model by variational inference, on all of its rows or in minibatches.

    >>> rows = {"x": np.arange(1000) / 500 - 1}
    >>> rows["y"] = 3 * rows["x"] + np.random.default_rng(1).normal(0, 0.1, size=1000)
    >>> with pm.Model() as model:
    ...     x = by.Data("x", rows, columns="x", dims="row")
    ...     y = by.Data("y", rows, columns="y", dims="row")
    ...     slope = pm.Normal("slope")
    ...     observed = pm.Normal("observed", slope * x, 0.1, observed=y, dims="row")
    ...     fit = by.fit(batch_size=50, random_seed=1, progressbar=False)
    >>> round(float(fit.mean["slope"]))
    3

    The model may also be the first argument: ``by.fit(model, batch_size=50)``.

    By default, a model of more than 16,384 independent rows is fitted by a few passes over all of
    them, with or without a `batch_size`: a covariance from a sample gives coordinates in which few
    passes lead to the mean. Models that are not nearly normal, and those of fewer rows, are fitted
    on all rows by deterministic ADVI (DADVI): the Monte Carlo draws stay the same during the fit.
    With a `batch_size`, or if the model itself contains minibatches or generators, they are fitted
    by stochastic ADVI until the approximation is stable. The standard deviations are corrected at
    the end by linear response: from how the means respond to a change of the log density.

    Parameters
    ----------
    n : int or "auto", default "auto"
        The number of steps, or "auto" to stop when the approximation is stable.
    method : str or Guide, default "auto"
        The family of distributions, and how it is fitted:

        - "advi": independent normals, by gradient steps.
        - "fullrank_advi": a normal with all correlations, by gradient steps.
        - "lowrank_advi": a normal with the correlations of 10 directions, by gradient steps, beside
          those that the first fit of "auto" finds in models of up to 512 elements.
        - "dadvi": independent normals on 128 fixed draws, with all rows in each iteration; `n` is
          then the largest number of iterations.
        - a :class:`bayou.Guide`: that family, by gradient steps.
        - "auto": passes over all rows where `n`, `num_particles`, `optimizer`, `order` and
          `checkpoint` are left as they are and the model allows it; else "dadvi" if there are no
          minibatches; else "advi", after a linear change of the variables that a short first fit
          finds.

    **The model and its rows**

    model : pymc.Model or model of a library, optional
        The model; by default the model of the context.
    batch_size : int, optional
        The number of rows in each batch. The model is written with all of its data; each container
        with the batched dim is read in batches, as if it were a :class:`bayou.Minibatch`, and the
        log likelihood is scaled to all rows.
    batch_dim : str, optional
        The dim of the rows; by default the first dim of the observed variables.
    validate : bool, default True
        Before a fit in batches, check that the likelihood of a row does not depend on the other
        rows of its batch.
    weights : str, optional
        A container with one number of at least 0 for each row: the log likelihood of the row counts
        that often, as of so many equal rows. Fractions are allowed; they raise the likelihood of
        the row to a power. Weights of `order` come on top.
    compress : {"auto", True, False}, default "auto"
        Without a `batch_size`, fit the distinct rows, each counted as often as it occurs, where the
        likelihood is a product over rows. It is the density of all rows but for rounding. "auto"
        does so with 10,000 rows or more, where at most half are distinct; ``fit.compression`` says
        it. True does so or raises.
    order : {"epoch", "uniform"}, Weighted or Stratified, default "epoch"
        How the rows of a batch are drawn. "epoch": without replacement, until all rows have been
        used once. "uniform": with replacement. :class:`bayou.Weighted` and
        :class:`bayou.Stratified`: by probabilities or strata, with weights that keep the likelihood
        unbiased.

    **How steps are made, and when they stop**

    num_particles : int, default 1
        Monte Carlo draws per gradient step. Not used by "dadvi", which has 128 fixed draws.
    optimizer : optax.GradientTransformation, optional
        By default Adam, with a learning rate that is found automatically. Steps are in units of the
        approximation's standard deviations. Not used by "dadvi".
    tolerance : float, default 0.1
        With ``n="auto"``, stop when halving the learning rate changes the approximation by less
        than this, in standard deviations.
    correction : {"auto", "linear_response", None}, default "auto"
        "linear_response" corrects the standard deviations of independent normals, which are too
        small where variables are correlated, or raises before the fit if that is impossible. "auto"
        corrects them where that is possible and affordable, and warns where it costs too much. None
        does not. ``fit.correction`` says what was done.

    **The run**

    random_seed : int, sequence of int, Generator or RandomState, optional
        Seed of the Monte Carlo draws and of the rows. The same int gives the same bits on the same
        machine. Exception: results may differ by rounding if the process has fitted the same model
        on another number of rows before, since that compiled code is used again.
    progressbar : bool, default True
        Show the step, the steps per second and the ELBO.
    callback : callable, optional
        Called as ``callback(steps, losses)`` after each chunk of up to 512 steps, with the number
        of steps done and the losses (negative ELBO, in nats) of the chunk. If it raises
        StopIteration, the fit ends with the approximation so far, as after Ctrl-C.
    cluster : str or Ray, optional
        Workers that share the rows of each pass, or of each batch: "ray", the address of a cluster,
        or a :class:`bayou.Ray`. Needs minibatches or a `batch_size` where passes do not do. The
        result is the same as in one process, apart from rounding. A worker that dies is replaced.
        The calling process writes the checkpoint, which can be resumed with or without a cluster.

    **Checkpoints of stochastic fits**

    checkpoint : path, optional
        A file to which the state of the fit is written at intervals, for `resume`.
    checkpoint_seconds : float, default 60
        The shortest time between two writes.
    resume : bool, default False
        Continue from the checkpoint if it exists. The result has the same bits as that of a fit
        that was never stopped. Items of a generator that the earlier run consumed are read again
        and discarded.

    Returns
    -------
    Fit
        The approximation: ``sample(draws)``, ``mean``, ``std``, ``elbo``, ``converged``.

    Raises
    ------
    TypeError
        If there is no model, it has discrete free variables or missing values of discrete observed
        ones, or it cannot be pickled for the workers of a `cluster`.
    ValueError
        If an argument is out of range, the model has no free variable or computes with missing
        values, its log density is not finite where the fit starts (only some rows are checked), or
        its likelihood cannot be split into rows, for batches or for workers.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, Ray is not installed, the cluster has no free cores,
        or its workers die repeatedly.
    DivergenceError
        If a loss is not finite; names the step and the variables at fault.

    Warns
    -----
    ConvergenceWarning
        If the fit ended before its stopping rule was met, or its check found that it is off; names
        the variables, and says how far. ``verdict`` of the result has more.
    UserWarning
        If ``validate=False`` skips the check of the rows, or the standard deviations could not be
        corrected; ``reason`` says so too.

    See Also
    --------
    load : Read a fit that was saved.
    fit_many : Fit many data sets.

    Notes
    -----
    Automatic differentiation variational inference (ADVI; Kucukelbir et al. 2017) with
    path-derivative gradients (Roeder, Wu and Duvenaud 2017). The stopping rule follows Welandawe et
    al. (2022), the linear response correction Giordano et al. (2018), and DADVI Giordano et al.
    (2024).

    In a fit, minibatches with the same ``random_seed`` have the same rows in each step, even if
    they were evaluated a different number of times before. Their rows depend on that seed and on
    the one of the fit.

    Workers of a cluster compute on CPUs. In passes, each reads and sums parts of the rows, and what
    it sums comes back. In steps, they exchange gradients, which takes about a millisecond: a
    cluster is faster if a step takes tens of milliseconds. The data that the model has in memory
    are sent to each machine once. Sources are opened again by each worker.
    """
    options = FitOptions(
        n=n,
        method=method,
        batch_size=batch_size,
        batch_dim=batch_dim,
        validate=validate,
        random_seed=seed_number(random_seed),
        num_particles=num_particles,
        optimizer=optimizer,
        order=order,
        correction=correction,
        tolerance=tolerance,
        progressbar=progressbar,
        callback=callback,
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
        resume=resume,
        cluster=resolve_cluster(cluster),
    )
    written = read_model(model)
    model = weighted_model(written, weights)
    check_compress(compress)
    if compress is True and not options.may_compress:
        raise ValueError(
            "`compress=True` must come without `batch_size`, `checkpoint` and `cluster`, got one "
            "of them.\nHint: leave it out; the distinct rows are fitted all at once."
        )
    with reading_data(model):
        check_imputed_values(model)
        check_indices(model)
        compress = compress if options.may_compress else False
        compressed = choose_compression(compress, written, weights=weights)
        fitted_model, program = _compile_model(
            model if compressed is None else compressed.model, options
        )
        kept_progress = _open_checkpoint(fitted_model, program, options)
        entropy = options.random_seed
        if kept_progress is not None:
            entropy = kept_progress.identity["random_seed"]
        words = np.random.SeedSequence(entropy).generate_state(3)
        start_seed, noise_seed, row_seed = (int(word) for word in words)
        # Before the fit, which may change the data that it is lent.
        provenance = provenance_for_result(model)
        feeds = checked_feeds(fitted_model, program, options.order, row_seed)
        if not options.use_fixed_draws(program) and not may_use_passes(program, options):
            compile_row_order(feeds, options.order)
        with (
            closing_feeds(feeds),
            step_progress(options.num_steps, progressbar, callback) as report,
        ):
            inputs, extremes = first_inputs(program, feeds)
            check_source_indices(fitted_model, program, inputs, extremes)
            start = find_start(program, start_seed, inputs, extremes)
            check_trace(program, start, inputs)
            most = most_at_once(program, options)
            program = choose_gradients(
                fitted_model, program, first_positions(start, noise_seed), start_seed, most
            )
            task = Task(program, start, noise_seed, row_seed, feeds, report)
            task, approximation = fit_task(task, options, fitted_model, kept_progress)
            if correction is not None:
                approximation = correct_stds(task, approximation, correction == "linear_response")
            approximation = replace(
                approximation,
                passes=task.counter.passes_or_none,
                compression=None if compressed is None else str(compressed),
                num_distinct=None if compressed is None else compressed.num_distinct,
                weights=weights,
            )
            # The check has passes of its own, which are none of the fit.
            if approximation.converged and correction is not None:
                approximation = check_fit(task, fitted_model, approximation, most)
        warn_unless_corrected(approximation)
        warn_unless_converged(approximation, has_windows=bool(windowed_feeds(feeds)))
        if compressed is not None:
            # What is asked of the fit is of the rows as they are, and of later data.
            program = _program(model, options)[1]
        fitted = Fit(model, program, approximation, all_rows_density(program), provenance)
        warn_unless_good(fitted)
        return fitted


def _compile_model(model: pm.Model, options: FitOptions) -> tuple[pm.Model, Program]:
    """Return the model that is fitted, as it is written or in minibatches, and its program."""
    fitted_model, program = _program(model, options)
    check_minibatches(fitted_model, program, options.order)
    check_integers(program)
    if options.correction == "linear_response":
        check_correctable(program, options.guide)
    if options.use_fixed_draws(program):
        check_fixed_draws(program, options)
    return fitted_model, program


def _program(model: pm.Model, options: FitOptions) -> tuple[pm.Model, Program]:
    if options.batch_size is not None:
        return batched_program(
            model, options.batch_size, options.batch_dim, validate=options.validate
        )
    if holds_minibatches(model):
        program = compile_program(model)
        check_likelihood(model, program, validate=options.validate)
        return model, program
    if not options.validate:
        raise ValueError(
            "`validate=False` must come with batches of rows, got a fit of all rows at once.\n"
            "Hint: leave it out."
        )
    return program_of_rows(model) or (model, compile_program(model))


def _open_checkpoint(model: pm.Model, program: Program, options: FitOptions) -> Checkpoint | None:
    if options.checkpoint is None:
        return None
    identity = {
        "model": program.fingerprint,
        "data": data_fingerprint(model, program),
        "batching": list(program.batching or ()),
        "method": options.method if isinstance(options.method, str) else repr(options.guide),
        "rotated": options.rotated,
        "n": options.n,
        "num_particles": options.num_particles,
        "optimizer": optimizer_fingerprint(options.optimizer),
        "order": order_fingerprint(options.order),
        "tolerance": options.tolerance,
        "random_seed": options.random_seed,
    }
    return open_checkpoint(options.checkpoint, options.checkpoint_seconds, options.resume, identity)
