"""What a rung found: draws, how far they are off by its own checks, and a word for that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bayou.fitting.checks.moment_errors import COLUMNS, Estimates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.fitting.result.fit_result import Fit
    from bayou.fitting.result.verdict import Word
    from bayou.models.posterior_tree import NamedArrays

    type Array = NDArray[np.float64]

type Rung = Literal["fit", "importance weights", "short chains", "nuts", "longer nuts"]

# Errors of an element that a fit may have, beyond chance: of mean, sd, 5% and 95% quantile.
MOST_OFF = np.array([0.1, 0.1, 0.12, 0.12])
# And on average over all elements, chance included.
MOST_OFF_ON_AVERAGE = np.array([0.05, 0.05, 0.1, 0.1])


@dataclass(frozen=True, eq=False)
class Answer:
    """What a rung found.

    Attributes
    ----------
    rung : str
        Where the draws come from.
    word : {"good", "doubtful", "wrong", "not checked"}
        "good" if the rung passes.
    reason : str
        Why, in a sentence.
    errors : mapping of str to ndarray, shapes (..., 4)
        Of each element of each free variable: the sizes of the errors of mean, sd, 5% and 95%
        quantile that the checks show or leave possible, in standard deviations; of an sd, relative
        to it. nan where an element was not looked at.
    draws : mapping of str to ndarray, shapes (chains, draws, ...)
    statistics : mapping of str to ndarray, shapes (chains, draws), optional
        Those of NUTS.
    masses : sequence of float
        The share of the posterior in each of its modes.
    rhat, ess : float or None
        The largest R-hat and the smallest effective sample size of a free variable, of NUTS.
    """

    rung: Rung
    word: Word
    reason: str
    errors: Mapping[str, Array]
    draws: NamedArrays
    statistics: NamedArrays | None = None
    masses: Sequence[float] = (1.0,)
    rhat: float | None = None
    ess: float | None = None

    @property
    def passes(self) -> bool:
        """Whether the ladder ends here."""
        return self.word == "good"

    def result_attrs(self) -> dict[str, object]:
        """Return the attributes of a result, of kinds that files can hold."""
        chains = {"rhat": self.rhat, "ess": self.ess}
        return {
            "inference_library": "bayou" if self.statistics is None else "nutpie",
            "rung": self.rung,
            "verdict": self.word,
            "reason": self.reason,
            "errors": json.dumps(self.worst_errors()),
            "mode_masses": [round(float(mass), 4) for mass in self.masses],
            **{name: value for name, value in chains.items() if value is not None},
        }

    def worst_errors(self) -> dict[str, dict[str, float | None]]:
        """Return the largest error of an element of each variable, by variable and moment."""
        worst = {}
        for name, values in self.errors.items():
            most = np.fmax.reduce(values.reshape(-1, len(COLUMNS)), axis=0, initial=np.nan)
            known = [round(float(each), 4) if np.isfinite(each) else None for each in most]
            worst[name] = dict(zip(COLUMNS, known, strict=True))
        return worst


def answer_of_fit(fit: Fit, draws: NamedArrays) -> Answer:
    """Return what a fit says of itself, by limits that are closer than those of its verdict.

    Parameters
    ----------
    fit : Fit
    draws : mapping of str to ndarray, shapes (1, draws, ...)
        Draws of the fit.
    """
    verdict, evidence = fit.verdict, fit.approximation.evidence
    origin = verdict.draws_from
    rung: Rung = "fit" if origin == "approximation" else origin
    if evidence is None or not evidence.errors:
        return Answer(rung, verdict.word, verdict.reason, {}, draws)
    errors = {
        name: np.hypot(evidence.errors[name], evidence.noise[name]) for name in evidence.errors
    }
    word, reason = verdict.word, verdict.reason
    if word == "good":
        found = Estimates(_rows(evidence.errors), _rows(evidence.noise))
        if is_near(found):
            reason = f"no moment is off by much, by weights of {verdict.draws:,} draws"
            if origin == "short chains":
                reason = "no moment is off by much, by short chains that agree with each other"
        else:
            word, reason = "doubtful", "a moment may be off by more than 0.1 sd"
    return Answer(rung, word, reason, errors, draws)


def is_near(found: Estimates) -> bool:
    """Return whether errors are so small that a posterior can be relied on."""
    sizes = np.hypot(found.values, found.noise)
    known = ~np.isnan(sizes).all(axis=1)
    if not known.any():
        return True
    near = np.nan_to_num(found.certain) <= MOST_OFF
    return bool(near.all() and (np.nanmean(sizes[known], axis=0) <= MOST_OFF_ON_AVERAGE).all())


def _rows(named: Mapping[str, Array]) -> Array:
    return np.concatenate([values.reshape(-1, len(COLUMNS)) for values in named.values()])
