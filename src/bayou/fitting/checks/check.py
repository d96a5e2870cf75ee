"""The check of a fit that is done: its evidence, and draws that are better than its own."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.density.evaluator import Evaluator
from bayou.errors import failure_text
from bayou.fitting.checks.adaptive import MAX_SIZE, WeightedDraws, adapt
from bayou.fitting.checks.importance import even_power, importance_weights
from bayou.fitting.checks.model_space import ModelSpace
from bayou.fitting.checks.moment_errors import (
    COLUMNS,
    DOUBTFUL,
    Estimates,
    errors_from_chains,
    moment_errors,
    standard_errors,
)
from bayou.fitting.checks.non_centred_fit import NonCentredFit, non_centred_fits
from bayou.fitting.checks.proposals import Proposal, fitted_normal
from bayou.fitting.checks.short_chains import MAX_EVALUATIONS, NUM_CHAINS, Chains, run_short_chains
from bayou.fitting.fixed_draws.pilot import PILOT_DRAWS
from bayou.fitting.guides.evidence import DrawsFrom, Evidence
from bayou.fitting.rows.all_rows import (
    MostAtOnce,
    all_row_blocks,
    all_rows_size,
    has_weighted_rows,
    num_all_rows,
    resident_rows_obstacle,
    sampled_blocks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

logger = logging.getLogger(__name__)

NUM_PAIRS = 1000
# With so few, errors of 0.2 sd still stand out from chance where weights are even.
LEAST_PAIRS = 100
# The most that the check of a fit costs: draws x values of the largest input. About a third of a
# second of a regression on two cores.
CHECK_WORK = 1e8
# Draws x rows from which on log densities are compiled without gradients, which took 0.4 s: of
# 327,346 flights, 16 ns of a core for a row and draw in the place of 38 ns.
WORK_WORTH_COMPILING = 3e7
# Better draws may cost more, where they are needed: draws x values of the largest input. About
# three seconds.
REPAIR_WORK = 1e9
# The evaluations that weights take at most.
ADAPTED_DRAWS = 16_000
# Chains are run where a smaller share of the draws counts: weights see no more than the draws do.
# Where the errors that weights or chains show are above this share of those that are worth a
# warning, chains take the place of the fit's draws.
CERTAIN_SHARE = 0.5
SUSPICIOUS = 0.5
# The rounds of chains whose draws take the place of the fit's.
ENOUGH_KEPT = 48
# Rows of a sample, where there are too many rows for that: a block of a fit by passes.
SAMPLED_ROWS = 2**14
# The most elements of a position.
MAX_ELEMENTS = 5120
# The share of the draws that is to count. Below it, ratios are taken to a power.
LEAST_SHARE = 0.25
# Errors from which on weighted draws are better than those of the fit: of means and sds, and of
# quantiles, which are known to a fraction of that.
WORTH_MOMENTS, WORTH_QUANTILES = 0.02, 0.05
# The share of the draws that count, from which on errors beyond these quantiles are small too.
EVEN_SHARE = 0.9
# The share of adapted draws that must count for these to take the place of those of the fit.
RELIABLE_SHARE = 0.2
# Weighted draws become so many plain ones.
NUM_RESAMPLED = 10_000


def check_fit(
    task: Task,
    model: pm.Model,
    approximation: Approximation,
    most: MostAtOnce | None = None,
) -> Approximation:
    """Return a fit with its evidence, and with resampled draws if these are better than its own.

    Whatever fails is said in the evidence: the fit is done.

    Parameters
    ----------
    task : Task
        What was fitted; its seed decides the draws.
    model : pymc.Model
        The model of its program.
    approximation : Approximation
        The fit.
    most : MostAtOnce, optional
        The rows and positions of a call: those that the code of the fit was compiled for.
    """
    program, seed = task.program, task.noise_seed
    try:
        obstacle = _obstacle(program, approximation)
        if obstacle is not None:
            return replace(approximation, evidence=Evidence(obstacle))
        most = most or MostAtOnce()
        return _check(program, approximation, seed, most, lambda: _refits(task, model))
    except KeyboardInterrupt:
        evidence = Evidence("the keyboard stopped the check")
        return replace(approximation, evidence=evidence, interrupted=True)
    # JAX, NumPy and what reads rows have no type of error in common.
    except Exception as error:
        obstacle = f"the check failed ({failure_text(error)})"
    return replace(approximation, evidence=Evidence(obstacle))


def _obstacle(program: Program, approximation: Approximation) -> str | None:
    size = program.layout.size
    if size > MAX_ELEMENTS:
        return f"the model has {size:,} elements"
    if reason := resident_rows_obstacle(program):
        return reason
    if fitted_normal(approximation) is None:
        return f"the guide is {approximation.guide}"
    return None


class _Target(NamedTuple):
    """The log density of a model, or of one that differs by a linear function.

    Attributes
    ----------
    gradients : callable
        (positions) -> log densities and their gradients.
    num_pairs : int
        The pairs of draws that are affordable.
    sampled_rows : int or None
        The number of rows that it is computed on, if these are a sample.
    cheap : callable or None
        (positions) -> log densities without gradients, where that saves more than it compiles.
    """

    gradients: Callable[[Array], tuple[Array, Array]]
    num_pairs: int
    sampled_rows: int | None = None
    cheap: Callable[[Array], Array] | None = None

    def log_density(self, positions: Array) -> Array:
        """Return log densities, by the function of gradients that the fit compiled, or without."""
        return self.gradients(positions)[0] if self.cheap is None else self.cheap(positions)


def _check(
    program: Program,
    approximation: Approximation,
    seed: int,
    most: MostAtOnce,
    refits: Callable[[], Iterable[NonCentredFit]] = tuple,
) -> Approximation:
    """Return a checked fit; `refits` are of the model with hierarchical normals as offsets."""
    proposal = fitted_normal(approximation)
    assert proposal is not None
    target = _target(program, proposal, seed, most)
    if target is None:
        reason = f"its density costs too much, on {all_rows_size(program):,} values of data"
        return replace(approximation, evidence=Evidence(reason))
    positions = proposal.draw(seed, target.num_pairs)
    densities = target.log_density(positions)
    if not np.isfinite(densities).any():
        return replace(approximation, evidence=Evidence("its density is nowhere finite"))
    drawn = WeightedDraws(positions, densities - proposal.log_densities(positions))
    power = even_power(drawn.log_ratios, LEAST_SHARE)
    weights = importance_weights(drawn.log_ratios, power)
    view = ModelSpace(program, positions, weights)
    errors = moment_errors(
        view.draws(positions), _even(len(positions)), weights, power, is_mirrored=True
    )
    evidence = Evidence(
        errors=view.named(errors.values),
        noise=view.named(errors.noise),
        log_ratios=drawn.log_ratios,
        share=drawn.share,
        power=power,
        skewness=_skewness(view.draws(positions), drawn.log_ratios),
        sampled_rows=target.sampled_rows,
    )
    checked = replace(approximation, evidence=evidence)
    if drawn.share > EVEN_SHARE and not _is_worth_weights(errors):
        return checked
    if _is_affordable(program, target, ADAPTED_DRAWS) and program.layout.size <= MAX_SIZE:
        adapted = adapt(proposal, positions, densities, target.log_density, seed + 1)
        if adapted.share >= RELIABLE_SHARE:
            noise = standard_errors(view.draws(adapted.positions), adapted.weights)
            resampled = resample(adapted, NUM_RESAMPLED, seed)
            return _with_draws(checked, resampled, view.named(noise), "importance weights")
    is_doubtful = drawn.share < CERTAIN_SHARE or _is_suspicious(errors)
    if not is_doubtful or not _is_affordable(program, target, MAX_EVALUATIONS):
        return checked
    starts = resample(WeightedDraws(positions, power * drawn.log_ratios), NUM_CHAINS, seed)
    checked = _check_by_chains(checked, target, view, positions, starts, seed)
    if _is_good(checked) and checked.resampled is None:
        return checked
    for refitted in refits():
        better = _check(refitted.program, refitted.approximation, seed, MostAtOnce())
        if _is_good(better):
            return _with_refit(program, checked, refitted, better, seed)
    return checked


def _check_by_chains(
    checked: Approximation,
    target: _Target,
    view: ModelSpace,
    positions: Array,
    starts: Array,
    seed: int,
) -> Approximation:
    """Return a fit that weights do not do for with what short chains say, or with their draws.

    Parameters
    ----------
    checked : Approximation
        With the evidence of weights.
    target : _Target
    view : ModelSpace
    positions : ndarray, shape (num_draws, size)
        Draws of the fit.
    starts : ndarray, shape (num_chains, size)
    seed : int
        Decides the moves.
    """
    proposal, evidence = fitted_normal(checked), checked.evidence
    assert proposal is not None
    assert evidence is not None

    def errors_of(chains: Chains) -> Estimates:
        columns = view.draws(chains.draws).reshape(*chains.positions.shape[:2], -1)
        return errors_from_chains(view.draws(positions), columns)

    def are_enough(chains: Chains) -> bool:
        return len(chains.positions) >= ENOUGH_KEPT or not _is_suspicious(errors_of(chains))

    chains = run_short_chains(proposal, starts, target.gradients, seed + 2, are_enough)
    found = errors_of(chains)
    evidence = replace(
        evidence,
        errors=view.named(found.values),
        noise=view.named(found.noise),
        rhat=chains.rhat,
        agree=chains.agree,
    )
    checked = replace(checked, evidence=evidence)
    if not chains.agree or not _is_suspicious(found):
        return checked
    noise = standard_errors(view.draws(chains.draws), _even(len(chains.draws)), NUM_CHAINS)
    shuffled = np.random.default_rng(seed).permutation(chains.draws)
    return _with_draws(checked, shuffled, view.named(noise), "short chains")


def _refits(task: Task, model: pm.Model) -> Iterator[NonCentredFit]:
    """Yield fits with offsets until one fails."""
    try:
        yield from non_centred_fits(task, model)
    # It is a try: what it fails with must not cost the evidence so far.
    except Exception as error:
        logger.info("The model was not fitted with offsets: %s", failure_text(error))


def _is_good(checked: Approximation) -> bool:
    """Return whether nothing speaks against a fit, or the draws in its place."""
    evidence = checked.evidence
    assert evidence is not None
    if evidence.obstacle is not None:
        return False
    errors = Estimates(*map(_rows, (evidence.errors, evidence.noise)))
    return evidence.agree and not _is_suspicious(errors)


def _rows(named: Mapping[str, Array]) -> Array:
    return np.concatenate([values.reshape(-1, len(COLUMNS)) for values in named.values()])


def _with_refit(
    program: Program,
    approximation: Approximation,
    refitted: NonCentredFit,
    checked: Approximation,
    seed: int,
) -> Approximation:
    """Return a fit with the draws of one with offsets, and with what is said of that."""
    draws, evidence = checked.resampled, checked.evidence
    assert evidence is not None
    if draws is None:
        normal = fitted_normal(checked)
        assert normal is not None
        draws = normal.draw(seed, NUM_RESAMPLED // 2)
    return replace(
        approximation,
        reason=checked.reason,
        correction=checked.correction,
        uncorrected=None,
        evidence=replace(evidence, non_centred=refitted.names),
        resampled=refitted.model_positions(program, draws),
    )


def _even(num_draws: int) -> Array:
    return np.full(num_draws, 1 / num_draws)


def _with_draws(
    approximation: Approximation, draws: Array, noise: dict[str, Array], origin: DrawsFrom
) -> Approximation:
    """Return a fit whose draws are better ones, which are off by their noise alone."""
    assert approximation.evidence is not None
    errors = {name: np.zeros_like(values) for name, values in noise.items()}
    evidence = replace(approximation.evidence, errors=errors, noise=noise, draws_from=origin)
    return replace(approximation, evidence=evidence, resampled=draws)


def _target(program: Program, proposal: Proposal, seed: int, most: MostAtOnce) -> _Target | None:
    """Return the density to compare with, None if it costs too much."""
    size = all_rows_size(program)
    num_pairs = int(min(NUM_PAIRS, CHECK_WORK / (2 * size)))
    if num_pairs >= LEAST_PAIRS:
        blocks = all_row_blocks(program, most.rows)
        every = Evaluator(program, blocks, max_positions=most.positions)
        return _Target(every.gradients, num_pairs, cheap=_cheap_density(every, num_pairs))
    if not has_weighted_rows(program):
        return None
    blocks = sampled_blocks(program, SAMPLED_ROWS, SAMPLED_ROWS, seed)
    sampled = Evaluator(program, blocks, max_positions=PILOT_DRAWS)
    # Other rows have their mode elsewhere: the linear part of the difference is left out.
    gradient = sampled.gradients(proposal.origin[None])[1][0]

    def gradients(positions: Array) -> tuple[Array, Array]:
        densities, gradients = sampled.gradients(positions)
        return densities - (positions - proposal.origin) @ gradient, gradients - gradient

    num_rows = min(num_all_rows(program), sum(block.num_rows for block in blocks))
    return _Target(gradients, LEAST_PAIRS, num_rows)


def _cheap_density(every: Evaluator, num_pairs: int) -> Callable[[Array], Array] | None:
    """Return the log density without gradients, where it is worth compiling."""
    work = 2 * num_pairs * num_all_rows(every.program)
    return every.densities if work > WORK_WORTH_COMPILING else None


def _is_affordable(program: Program, target: _Target, num_draws: float) -> bool:
    """Return whether more draws may be evaluated: on all rows, and at bounded cost."""
    return target.sampled_rows is None and num_draws * all_rows_size(program) <= REPAIR_WORK


def _is_suspicious(errors: Estimates) -> bool:
    """Return whether a moment is off by nearly as much as is worth a warning."""
    return bool((errors.clear > SUSPICIOUS * DOUBTFUL).any())


def _is_worth_weights(errors: Estimates) -> bool:
    """Return whether weights move a moment by more than chance, and by enough to matter."""
    limits = [WORTH_MOMENTS, WORTH_MOMENTS, WORTH_QUANTILES, WORTH_QUANTILES]
    return bool((np.abs(errors.values) > limits + 2 * errors.noise).any())


def _skewness(draws: Array, log_ratios: Array) -> float:
    """Return the most that a quantile moves if each draw is kept or mirrored by its density."""
    half = len(draws) // 2
    first, second = log_ratios[:half], log_ratios[half:]
    with np.errstate(invalid="ignore", over="ignore"):
        keep = 1 / (1 + np.exp(second - first))
    # Without density at both, each is as good as the other.
    keep = np.where(np.isnan(keep), 0.5, keep)
    weights = np.concatenate([keep, 1 - keep]) / half
    shifts = np.abs(moment_errors(draws, _even(len(draws)), weights).values[:, 2:])
    return float(np.nanmax(shifts, initial=0.0))


def resample(drawn: WeightedDraws, num_draws: int, seed: int) -> Array:
    """Return plain draws from weighted ones, shape (num_draws, size), in random order.

    Each stands among them about as often as its weight says (systematic resampling).
    """
    random = np.random.default_rng(seed)
    levels = (np.arange(num_draws) + random.random()) / num_draws
    ends = np.cumsum(drawn.weights)
    numbers = np.searchsorted(ends / ends[-1], levels)
    resampled: Array = drawn.positions[random.permutation(numbers)]
    return resampled
