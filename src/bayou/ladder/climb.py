"""The way up the ladder, rung by rung, until one passes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from bayou.compression.compress_option import choose_compression
from bayou.compression.weighted_model import weighted_model
from bayou.containers.data_access import reading_data
from bayou.errors import ConvergenceWarning, failure_text
from bayou.fitting.fit import fit as fit_model
from bayou.ladder.answer import Answer, answer_of_fit
from bayou.ladder.joined_modes import are_alike, join_modes
from bayou.ladder.mode_chains import ChainRun, ChainTask, errors_of_chains, run_in_mode
from bayou.ladder.mode_masses import mode_masses
from bayou.ladder.modes import Modes, find_modes
from bayou.nuts.chains import bind_data, lanes_of
from bayou.nuts.compiled.compiled_density import compiled_density
from bayou.nuts.model_checks import check_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.fitting.result.fit_result import Fit
    from bayou.ladder.time_limit import TimeLimit
    from bayou.nuts.settings import NutsSettings

    type Array = NDArray[np.float64]

# An R-hat of chains up to which their draws are better than those of a fit that is not good.
USABLE_RHAT = 1.1


@dataclass(eq=False)
class Climb:
    """The way up the ladder: what is asked for, and the rungs that were tried.

    Attributes
    ----------
    model : pymc.Model
        The model as it is written.
    weights : str or None
        The container of the weights of its rows.
    names : tuple of str
        The variables to keep.
    settings : NutsSettings
        The number of chains and of their draws, and the cores.
    seed : int
    limit : TimeLimit
    compress, progressbar
        As :func:`bayou.posterior` takes them.
    tried : list of dict
        A record of each rung.
    compression : str or None
        How many distinct rows took the place of all in the last rung, if they did.
    """

    model: pm.Model
    weights: str | None
    names: tuple[str, ...]
    settings: NutsSettings
    seed: int
    limit: TimeLimit
    compress: bool | str
    progressbar: bool
    tried: list[dict[str, object]] = field(default_factory=list)
    compression: str | None = None

    def run(self) -> Answer:
        """Return the answer of the first rung that passes, or the best of all.

        Raises
        ------
        Exception
            That of NUTS, if neither a fit nor NUTS is possible.
        """
        fit, failure = self._fit()
        modes, answer = Modes([]), None
        if fit is not None:
            modes, answer = self._answer_of_fit(fit)
            if answer.passes:
                return answer
            if (end := self._end(fit, modes)) is not None:
                return replace(answer, reason=f"{answer.reason}; {end}")
        try:
            found = self._answer_of_chains(modes)
        except KeyboardInterrupt:
            if answer is None:
                raise
            return replace(answer, reason=f"{answer.reason}; the keyboard stopped the chains")
        # A model that cannot be sampled from may have been fitted all the same.
        except Exception as error:
            if answer is None:
                raise error from failure
            return replace(answer, reason=f"{answer.reason}; NUTS failed ({failure_text(error)})")
        if found is None:
            if answer is None:
                raise ValueError(
                    f"`budget` must be long enough for draws of NUTS, got {self.limit.budget:g}, "
                    f"which ended while chains were tuned; and a fit failed ({failure}).\n"
                    "Hint: pass a longer one, or leave it out."
                )
            return replace(
                answer, reason=f"{answer.reason}; the budget ended before NUTS had draws"
            )
        is_usable = found.passes or (found.rhat is not None and found.rhat < USABLE_RHAT)
        return found if answer is None or is_usable else answer

    def _end(self, fit: Fit, modes: Modes) -> str | None:
        """Return why the climb ends after the fit; None if it goes on."""
        if self.limit.is_over:
            return "the budget ended"
        if fit.approximation.interrupted or modes.interrupted:
            return "the keyboard ended the climb"
        return None

    def _fit(self) -> tuple[Fit | None, Exception | None]:
        """Return a fit, or what it failed with."""

        def stop_in_time(_: int, __: Array) -> None:
            if self.limit.is_over:
                raise StopIteration

        try:
            with warnings.catch_warnings():
                # The ladder goes on, and says at its end what is left of the doubts.
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.filterwarnings("ignore", message="The standard deviations are not")
                fitted = fit_model(
                    model=self.model,
                    weights=self.weights,
                    compress=self.compress,
                    random_seed=self.seed,
                    progressbar=self.progressbar,
                    callback=stop_in_time if self.limit.budget is not None else None,
                )
        # Whatever a fit cannot do, NUTS may; else it raises an error of its own.
        except Exception as error:
            self._record("fit", "failed", failure_text(error))
            return None, error
        self.compression = fitted.compression
        return fitted, None

    def _answer_of_fit(self, fit: Fit) -> tuple[Modes, Answer]:
        num_draws = self.settings.draws * self.settings.chains
        draws = fit.draws(num_draws, random_seed=self.seed, names=self.names)
        answer = answer_of_fit(fit, draws)
        modes = Modes([fit])
        if not self.limit.is_over and not fit.approximation.interrupted:
            try:
                modes = find_modes(fit, self.seed)
            except KeyboardInterrupt:
                modes = Modes([fit], obstacle="the keyboard stopped it", interrupted=True)
        if modes.fits != [fit]:
            more = f"searches from other starts lead elsewhere: {modes.text(fit)}"
            answer = replace(answer, word="doubtful", reason=more)
        elif modes.obstacle is not None and answer.passes:
            reason = f"{answer.reason}; other modes were not sought: {modes.obstacle}"
            answer = replace(answer, reason=reason)
        self._record(answer.rung, answer.word, answer.reason)
        return modes, answer

    def _answer_of_chains(self, modes: Modes) -> Answer | None:
        """Return the answer of NUTS in each mode; None if time was over before there were draws."""
        with reading_data(self.model):
            check_model(self.model)
            compressed = choose_compression(self.compress, self.model, self.names, self.weights)
            weighted = weighted_model(self.model, self.weights)
            density_model = weighted if compressed is None else compressed.model
            self.compression = None if compressed is None else str(compressed)
            density = compiled_density(density_model, self.names)
            lanes = lanes_of(self.settings.chains)
            task = ChainTask(
                density_model,
                bind_data(density_model, density, None, None, "auto", lanes),
                self.settings.chains,
                self.settings.draws,
                self.settings.cores,
                self.seed,
                self.limit,
                self.progressbar,
            )
            places: Sequence[Fit | None] = modes.fits or [None]
            runs = [run_in_mode(task, fit) for fit in places]
        kept = [(run, fit) for run, fit in zip(runs, places, strict=True) if run]
        if not kept:
            return None
        answer = self._join([run for run, _ in kept], modes, [fit for _, fit in kept])
        self._record(answer.rung, answer.word, answer.reason)
        return answer

    def _join(self, runs: list[ChainRun], modes: Modes, fits: list[Fit | None]) -> Answer:
        """Return the answer of the chains of all modes."""
        free = [variable.name for variable in self.model.free_RVs]
        masses: Sequence[float] = (1.0,)
        doubts = [doubt for run in runs for doubt in run.doubts]
        run = runs[0]
        if len(runs) > 1 and not are_alike(runs, free):
            found = mode_masses([fit for fit in fits if fit is not None], self.seed)
            if found is None:
                doubts.append(
                    f"the masses of {len(runs)} modes are not known; equal ones are taken"
                )
                found = np.full(len(runs), 1 / len(runs))
            masses = found.tolist()
            run = join_modes(runs, found, self.seed)
            if modes.may_be_more:
                doubts.append("modes were found by one search each, so that there may be more")
        if len(runs) < len(modes.fits):
            doubts.append("the budget ended before chains ran in each mode")
        errors = errors_of_chains({name: run.draws[name] for name in free})
        good = f"R-hat is {run.rhat:.3f} at most, the effective sample size {run.ess:.0f} at least"
        if run.divergences:
            good += f"; {run.divergences} trajectories diverged"
        return Answer(
            "longer nuts" if any(each.longer for each in runs) else "nuts",
            "doubtful" if doubts else "good",
            "; ".join(dict.fromkeys(doubts)) or good,
            errors,
            run.draws,
            run.statistics,
            masses,
            run.rhat,
            run.ess,
        )

    def _record(self, rung: str, word: str, reason: str) -> None:
        seconds = round(self.limit.elapsed, 1)
        self.tried.append({"rung": rung, "verdict": word, "reason": reason, "seconds": seconds})
