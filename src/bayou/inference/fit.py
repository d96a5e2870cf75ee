"""Variational inference on a PyMC model: from its containers to a :class:`Fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np
import optax

from bayou.arguments import whole_number
from bayou.inference.context import model_of
from bayou.inference.faults import check_start
from bayou.inference.feeds import first_inputs, program_feeds
from bayou.inference.guides.mean_field import MeanField
from bayou.inference.loop import Plan, Recipe, init_state, run
from bayou.inference.program import compile_program
from bayou.inference.progress import step_progress
from bayou.results.fit import Fit

if TYPE_CHECKING:
    import pymc as pm

    from bayou.inference.guides import Guide

METHODS: dict[str, Guide] = {"advi": MeanField()}
ADAM = optax.scale_by_adam()
RATE = 0.05
DESCENT = optax.chain(ADAM, optax.scale(-1.0))


def fit(
    n: int = 10_000,
    method: str = "advi",
    *,
    model: pm.Model | None = None,
    random_seed: int | None = None,
    progressbar: bool = True,
) -> Fit:
    """Fit a model by variational inference, in minibatches where the model holds them.

    Minibatches draw rows of their own ``random_seed``, at a place in their order that
    ``random_seed`` decides; minibatches of one seed stay aligned whatever was evaluated before.

    Parameters
    ----------
    n : int, default 10_000
        The number of steps; a generator is asked for one item a step.
    method : {"advi"}, default "advi"
        The family: "advi" is the mean-field normal.
    model : pymc.Model, optional
        The model; by default the one of the context.
    random_seed : int, optional
        Decides the noise and the rows: same seed, same machine, same bits.
    progressbar : bool, default True
        Show the step, the rate of steps and the ELBO.

    Returns
    -------
    Fit
        The approximation, with ``sample(draws)``, ``mean``, ``std`` and ``elbo``.

    Raises
    ------
    TypeError
        If there is no model, or it has discrete free variables.
    ValueError
        If an argument is out of range, the model has no free variable, or its density is not
        finite where the fit starts.

    Notes
    -----
    Automatic differentiation variational inference (Kucukelbir et al. 2017) with path-derivative
    gradients (Roeder, Wu and Duvenaud 2017) and Adam, whose rate decays to zero along a cosine.

    Examples
    --------
    >>> with pm.Model():
    ...     x = by.Minibatch(np.random.default_rng(0).normal(3, 1, size=1000), 100)
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("x", mu, 1, observed=x, total_size=1000)
    ...     approximation = by.fit(500, random_seed=1, progressbar=False)
    >>> round(float(approximation.mean["mu"]))
    3
    """
    n = whole_number("n", n, 1, "it counts steps.")
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {sorted(METHODS)}, got {method!r}.\n"
            'Hint: "advi" is the mean-field normal.'
        )
    model = model_of(model)
    program = compile_program(model)
    seed = np.random.SeedSequence(random_seed)
    start_seed, noise_seed, row_seed = (int(word) for word in seed.generate_state(3))
    recipe = Recipe(METHODS[method], DESCENT)
    position = jax.numpy.asarray(program.start(start_seed))
    state = init_state(recipe, position)
    feeds = program_feeds(program)
    plan = cosine_plan(n)
    data = program.data_values()
    check_start(program, position, first_inputs(program))
    key = jax.random.key(noise_seed)
    losses: list[float] = []
    with step_progress(n, progressbar) as advance:
        for reached, chunk in run(program, recipe, state, feeds, data, key, plan, row_seed):
            state = reached
            losses.extend(chunk)
            advance(chunk)
    return Fit(model, program, recipe.guide, state.average, -np.asarray(losses))


def cosine_plan(num_steps: int) -> Plan:
    """Return a plan whose rate falls to zero along a cosine, the last quarter averaged."""
    share = np.arange(num_steps) / num_steps
    rate = RATE * (1 + np.cos(np.pi * share)) / 2
    averaged = np.maximum(np.arange(num_steps) - int(0.75 * num_steps) + 1, 1)
    return Plan(rate, 1 / averaged)
