"""Variational inference on a PyMC model: from its containers to a :class:`Fit`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import whole_number
from bayou.batching.data_checks import check_imputed, check_integers, check_rows
from bayou.batching.minibatch_model import batched_program, program_of_rows
from bayou.batching.row_dim import holds_batches
from bayou.batching.row_independence import check_likelihood
from bayou.cluster.ray import resolve_cluster
from bayou.density.build import compile_program
from bayou.density.non_finite import check_start
from bayou.errors import ConvergenceWarning
from bayou.fitting.approximation import (
    FIXED_DRAWS,
    Task,
    check_correctable,
    corrected,
    fit_fixed_draws,
    fit_stochastic,
)
from bayou.fitting.checkpoint import open_checkpoint
from bayou.fitting.fit_options import check_options
from bayou.fitting.fit_result import Fit
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField
from bayou.fitting.rows.feeds import (
    closing_feeds,
    first_inputs,
    prepare_rows,
    program_feeds,
    whole_density,
    why_not_resident,
)
from bayou.fitting.stochastic.distributed import shared_run
from bayou.models.context import model_of
from bayou.progress import step_progress
from bayou.provenance.fingerprint import data_fingerprint, optimiser_fingerprint, order_fingerprint
from bayou.provenance.model_provenance import provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import optax
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.density.program import Program
    from bayou.feeding.source_feed import AnyOrder
    from bayou.fitting.approximation import Approximation
    from bayou.fitting.guides import Guide

GUIDES: dict[str, Guide] = {
    "advi": MeanField(),
    "fullrank_advi": FullRank(),
    "lowrank_advi": LowRank(),
}
METHODS = ("auto", *GUIDES, "dadvi")


def fit(
    n: int | str = "auto",
    method: str | Guide = "auto",
    *,
    batch_size: int | None = None,
    batch_dim: str | None = None,
    validate: bool = True,
    model: pm.Model | None = None,
    random_seed: int | None = None,
    progressbar: bool = True,
    num_particles: int = 1,
    optimizer: optax.GradientTransformation | None = None,
    order: AnyOrder = "epoch",
    correction: str | None = "auto",
    tolerance: float = 0.1,
    callback: Callable[[int, NDArray[Any]], None] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    cluster: str | Ray | None = None,
) -> Fit:
    """Fit a model by variational inference, in minibatches where the model holds them.

    By default, a model is fitted on all of its data by deterministic ADVI. With a `batch_size`, or
    where the model itself holds minibatches or generators, it is fitted by stochastic ADVI until
    that is stable. Either starts from a short deterministic fit and, where that is affordable, ends
    with standard deviations corrected by linear response.

    Minibatches are drawn in exact epochs, from their own ``random_seed`` and that of the fit;
    minibatches of one seed stay aligned whatever was evaluated before.

    Parameters
    ----------
    n : int or "auto", default "auto"
        The number of steps, or "auto" to stop when the approximation is stable.
    method : str or Guide, default "auto"
        "advi" (independent normals), "fullrank_advi" (a normal with every correlation),
        "lowrank_advi" (with those of a few directions), "dadvi" (independent normals on fixed
        draws, all rows at each step; ``n`` then bounds the iterations), a guide, or "auto": "dadvi"
        where ``n`` is "auto" and nothing is fed in batches, else "advi" in coordinates that a
        pilot fit finds.
    batch_size : int, optional
        Fit a model that is written with all of its data in batches of so many rows, scaled to all
        of them, as if it held a :class:`bayou.Minibatch` for each container with the batched dim.
    batch_dim : str, optional
        The dim of the rows; by default the first dim of what is observed.
    validate : bool, default True
        Check that each row has the same likelihood whatever rows it comes with, before a fit in
        batches.
    model : pymc.Model, optional
        The model; by default the one of the context.
    random_seed : int, optional
        Decides the noise and the rows: same seed, same machine, same bits; but for rounding where
        other numbers of rows were fitted before, whose compiled code is used again.
    progressbar : bool, default True
        Show the step, the rate of steps and the ELBO.
    num_particles : int, default 1
        Draws of the guide in a step; of no meaning to "dadvi", which takes 128 fixed ones.
    optimizer : optax.GradientTransformation, optional
        By default Adam, at a rate that is searched for. Steps are in units of the guide's own
        standard deviations.
    order : {"epoch", "uniform"}, Weighted or Stratified, default "epoch"
        Rows without replacement within an epoch, or with replacement; or by probabilities or strata
        of one's own, each row weighted so that the likelihood is unbiased.
    correction : {"auto", "linear_response", None}, default "auto"
        "linear_response" corrects the standard deviations of independent normals; "auto" does so
        where it is affordable.
    tolerance : float, default 0.1
        With ``n="auto"``: stop when decay of the rate moves the approximation by less than this,
        in standard deviations.
    callback : callable, optional
        Called after each chunk of steps, with the number of steps done and the losses of the chunk,
        in nats; a StopIteration from it ends the fit, as Ctrl-C does, with what is known by then.
    checkpoint : path, optional
        A file that the progress of a stochastic fit is kept in.
    checkpoint_seconds : float, default 60
        The time between two writes of the checkpoint.
    resume : bool, default False
        Go on from the checkpoint, if there is one: the fit ends with the same bits as one that was
        never stopped. Items of a generator that it took already are taken again and left.
    cluster : str or Ray, optional
        Workers that share the rows of each batch: "ray", the address of a cluster, or a
        :class:`bayou.Ray`. A model that is written with all of its data needs a `batch_size` for
        that; without one, it must hold minibatches. The fit is that of one process but for
        rounding, whatever their number, and goes on by itself where one dies. A checkpoint is
        written here, and resumed with or without them.

    Returns
    -------
    Fit
        The approximation: ``sample(draws)``, ``mean``, ``std``, ``elbo``, ``converged``.

    Raises
    ------
    TypeError
        If there is no model, it has discrete free variables, missing ones among them, or it
        cannot be sent to the workers of a `cluster`.
    ValueError
        If an argument is out of range, the model has no free variable or computes with missing
        values, its density is not finite where the fit starts, or its likelihood is not one of rows
        that could come in batches, or that workers could share.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, no Ray here, the cluster has no cores free, or its
        workers die again and again.
    DivergenceError
        If a loss is not finite; names the step and the variables at fault.

    Warns
    -----
    ConvergenceWarning
        If the fit ended before it was stable.
    UserWarning
        If ``validate=False`` leaves the rows unchecked.

    Notes
    -----
    Automatic differentiation variational inference (Kucukelbir et al. 2017) with path-derivative
    gradients (Roeder, Wu and Duvenaud 2017); when to stop follows Welandawe et al. (2022); the
    deterministic form and the correction follow Giordano et al. (2018, 2024).

    Workers of a cluster compute on CPUs, and wait for each other's gradients at each step, which
    takes a millisecond: they pay where a step takes tens of them, and not on one machine, whose
    cores one process uses already. What the model holds in memory is sent to each machine once.
    Sources are opened anew by each worker; what is read in windows is read by each of them, as far
    as its windows go.

    Examples
    --------
    >>> with pm.Model():
    ...     x = by.Minibatch(np.random.default_rng(0).normal(3, 1, size=1000), 100)
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("x", mu, 1, observed=x, total_size=1000)
    ...     approximation = by.fit(random_seed=1, progressbar=False)
    >>> round(float(approximation.mean["mu"]))
    3
    """
    num_steps = None if n == "auto" else whole_number("n", n, 1, 'it counts steps; or pass "auto".')
    check_options(
        num_particles=num_particles,
        optimizer=optimizer,
        order=order,
        correction=correction,
        tolerance=tolerance,
        callback=callback,
        checkpoint=checkpoint,
        resume=resume,
        random_seed=random_seed,
    )
    where = resolve_cluster(cluster)
    guide = MeanField() if method in ("auto", "dadvi") else _guide(method)
    model = model_of(model)
    check_imputed(model)
    made, program = _program(model, method, batch_size, batch_dim, validate)
    check_rows(made, program, order)
    check_integers(program)
    if correction == "linear_response":
        check_correctable(program, guide)
    deterministic = method == "dadvi" or (
        method == "auto" and n == "auto" and (program.feeds_all_rows or not program.fed)
    )
    if deterministic:
        _check_fixed_draws(program, num_particles, optimizer, cluster)
    entropy: Any = random_seed
    kept, recorded = None, None
    if checkpoint is not None:
        if deterministic:
            raise ValueError(
                "`checkpoint` must be left out with fixed draws, which are fitted at one go.\n"
                'Hint: pass method="advi" for a fit that goes on where it was.'
            )
        identity = {
            "model": program.fingerprint,
            "data": data_fingerprint(made, program),
            "batching": list(program.batching or ()),
            "method": method if isinstance(method, str) else repr(guide),
            "n": n,
            "num_particles": num_particles,
            "optimizer": optimiser_fingerprint(optimizer),
            "order": order_fingerprint(order),
            "tolerance": tolerance,
            "random_seed": random_seed,
        }
        kept, recorded = open_checkpoint(checkpoint, checkpoint_seconds, resume, identity)
        entropy = kept.identity["random_seed"]
    start_seed, noise_seed, row_seed = (
        int(word) for word in np.random.SeedSequence(entropy).generate_state(3)
    )
    start = program.start(start_seed)
    feeds = program_feeds(program, order, row_seed)
    if not deterministic:
        prepare_rows(feeds, order)
    with closing_feeds(feeds), step_progress(num_steps, progressbar) as show:
        check_start(program, start, *first_inputs(program, feeds))
        report = show if callback is None else _reporting(show, callback)
        task = Task(program, start, noise_seed, row_seed, feeds, report, kept, recorded)
        if deterministic:
            approximation = fit_fixed_draws(task, num_steps)
        else:
            sharing = shared_run(where, made, program, feeds, order, row_seed, noise_seed)
            with sharing as shared:
                approximation = fit_stochastic(
                    replace(task, shared=shared),
                    guide, num_steps, num_particles, optimizer, tolerance, method == "auto",
                )  # fmt: skip
        if correction is not None:
            approximation = corrected(task, approximation, correction == "linear_response")
    _warn_unless_converged(approximation)
    return Fit(model, program, approximation, whole_density(program), provenance_of(model))


def _program(
    model: pm.Model,
    method: str | Guide,
    batch_size: int | None,
    batch_dim: str | None,
    validate: bool,
) -> tuple[pm.Model, Program]:
    """Return the program of the model that is fitted: as it is written, or in minibatches."""
    if batch_size is not None:
        if method == "dadvi":
            raise ValueError(
                '`batch_size` must be left out with method="dadvi", which takes all rows at each '
                f'step, got {batch_size!r}.\nHint: pass method="advi" for a fit in batches.'
            )
        return batched_program(model, batch_size, batch_dim, validate=validate)
    if batch_dim is not None:
        raise ValueError(
            f"`batch_dim` must come with a `batch_size`, got {batch_dim!r} alone.\n"
            "Hint: pass by.fit(batch_size=512), or leave it out."
        )
    if holds_batches(model):
        program = compile_program(model)
        check_likelihood(model, program, validate=validate)
        return model, program
    if not validate:
        raise ValueError(
            "`validate=False` must come with batches of rows, got a fit of all rows at once.\n"
            "Hint: leave it out."
        )
    return program_of_rows(model) or (model, compile_program(model))


def _warn_unless_converged(approximation: Approximation) -> None:
    if not approximation.converged:
        warnings.warn(
            f"The fit did not converge: {approximation.reason}.\n"
            'Hint: leave `n="auto"`, shuffle a source that is sorted (by.inspect tells, by.shuffle '
            "does it), or look at fit.elbo.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _reporting(
    show: Callable[[NDArray[Any]], None], callback: Callable[[int, NDArray[Any]], None]
) -> Callable[[NDArray[Any]], None]:
    num_steps = 0

    def report(losses: NDArray[Any]) -> None:
        nonlocal num_steps
        num_steps += len(losses)
        show(losses)
        callback(num_steps, losses)

    return report


def _guide(method: Any) -> Guide:
    if isinstance(method, str) and method in GUIDES:
        return GUIDES[method]
    if isinstance(method, str) or not hasattr(method, "transport"):
        raise ValueError(
            f"`method` must be one of {METHODS} or a guide, got {method!r}.\n"
            'Hint: "auto" suits most models; bayou.fitting.guides.Guide says what a guide is.'
        )
    guide: Guide = method
    return guide


def _check_fixed_draws(program: Program, num_particles: int, optimizer: Any, cluster: Any) -> None:
    """Refuse what a fit on fixed draws has no use for."""
    if cluster is not None:
        raise ValueError(
            "`cluster` must come with rows in batches, which workers share, got a fit of all rows "
            "at once.\nHint: pass a batch_size, such as by.fit(batch_size=4096)."
        )
    if optimizer is not None or num_particles != 1:
        argument = "num_particles" if optimizer is None else "optimizer"
        raise ValueError(
            f"`{argument}` must be left out with fixed draws, which are {FIXED_DRAWS} and are "
            'lowered by L-BFGS.\nHint: pass method="advi" to set it.'
        )
    reason = why_not_resident(program)
    if reason:
        raise ValueError(
            f'`method="dadvi"` must have all rows in memory, but {reason}.\n'
            'Hint: pass method="advi".'
        )
