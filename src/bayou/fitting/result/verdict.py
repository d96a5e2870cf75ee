"""Whether a fit can be relied on, in a word, with the error of each variable and the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from bayou.errors import ConvergenceWarning, warn
from bayou.fitting.checks.moment_errors import COLUMNS, DOUBTFUL, WRONG, Estimates
from bayou.fitting.result.diagnostics import khat_of_ratios
from bayou.fitting.result.named_values import named_values, place_texts
from bayou.storage.storable_labels import storable_labels
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.fitting.guides.approximation import Approximation, OtherMode
    from bayou.fitting.guides.evidence import DrawsFrom, Evidence
    from bayou.fitting.result.fitted_model import FittedModel

    type Array = NDArray[np.float64]

type Word = Literal["good", "doubtful", "wrong", "not checked"]

HINT = (
    "fit.verdict.errors has the error of each variable. by.posterior goes on from a fit, in each "
    "mode, until its checks pass; by.sample draws from the posterior itself; a hierarchy may fit "
    "better written as `offset * scale` with a standard normal offset, or the other way round. "
    "docs/how_to/read_a_verdict.md says more."
)
# Another mode of which a hundredth of the posterior may be in it makes a fit doubtful: so many nats
# below, by short fits, and so many standard deviations from what the fit returns.
CLOSE_NATS, APART = 4.5, 2.5
# Of errors in a summary.
ERROR_DIGITS = 3
# Elements that a warning names.
MAX_NAMED = 4


@dataclass(frozen=True)
class Verdict:
    """The result of the check of a fit.

    Attributes
    ----------
    word : {"good", "doubtful", "wrong", "not checked"}
        Whether the draws and moments that the fit returns can be relied on.
    reason : str
        Why, in a sentence.
    errors : pandas.DataFrame
        A row for each element of each free variable, such as "a[label]". The columns "mean", "sd",
        "q5" and "q95" are the estimated errors of the mean, the sd, and the 5% and 95% quantiles of
        the draws of the fit. Units are posterior standard deviations; the error of the sd is
        relative. The columns "mean_se", ... are standard errors of these estimates. NaN for
        elements that were not checked; empty if nothing was checked.
    draws_from : {"approximation", "importance weights", "short chains"}
        The origin of the draws of the fit: the approximation itself or, where this gives better
        draws, importance sampling around it, or short chains of Hamiltonian Monte Carlo that start
        at draws from it.
    draws : int
        The number of draws from the approximation for which importance weights were computed.
    ess : float
        The effective number of these draws, given their weights.
    khat : float
        The k-hat of their weights; nan without draws.
    rhat : float
        The largest R-hat of the short chains; nan if none were run.
    skewness : float
        A measure of the skewness that the approximation lacks. For it, each draw is replaced by its
        mirror image about the mean with some probability: the posterior density of the mirror
        image, divided by the sum of the densities at both. The value is the largest resulting shift
        of a quantile, in standard deviations.
    sampled_rows : int or None
        The number of rows in the sample on which the density was computed; None if all rows were
        used.
    non_centred : tuple of str
        Hierarchical normals that were fitted again as ``mean + sd * offset``, with standard normal
        offsets, because that fit gives better draws. This verdict is then about these draws.
        Results still have the variables of the model.
    modes : tuple of str
        Other optima that searches found and that are nearly as good. Each is described by the
        elements that differ most. Draws are from the mode of the fit only.

    Examples
    --------
    >>> with pm.Model():
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("x", mu, 1, observed=[2.0, 3.0, 4.0])
    ...     verdict = by.fit(random_seed=1, progressbar=False).verdict
    >>> verdict.word, list(verdict.errors.index)
    ('good', ['mu'])
    >>> bool(verdict.errors.loc["mu", "mean"] < 0.05)
    True
    """

    word: Word
    reason: str
    errors: pd.DataFrame
    draws_from: DrawsFrom
    draws: int
    ess: float
    khat: float
    rhat: float
    skewness: float
    sampled_rows: int | None
    non_centred: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.word}: {self.reason}"]
        if self.draws:
            lines.append(
                f"evidence: {self.draws:,} draws, of which {self.ess:,.0f} count if weighted, "
                f"k-hat {self.khat:.2f}, skewness {self.skewness:.2f} sd"
            )
            lines.append(f"draws: from {self.draws_from}")
            if np.isfinite(self.rhat):
                lines[-1] += f"; R-hat of short chains {self.rhat:.2f}"
            if self.non_centred:
                lines.append(f"non-centred, as mean + sd * offset: {listed(self.non_centred)}")
            if self.sampled_rows is not None:
                lines.append(f"on a sample of {self.sampled_rows:,} rows")
        if self.modes:
            lines.append(f"other modes, which are nearly as good: ({'), ('.join(self.modes)})")
        return "\n".join(lines)


def verdict_of(fit: FittedModel) -> Verdict:
    """Return the verdict of a fit, from the evidence that it was given.

    A fit that did not converge is doubtful. One of a given number of steps was not checked.
    """
    fitted = fit.approximation
    evidence = fitted.evidence
    if evidence is None or evidence.obstacle is not None:
        return _unchecked(fitted)
    table = _table(fit.model, evidence)
    word, reason = _judge(fit, table, evidence)
    return Verdict(
        word=word,
        reason=reason,
        errors=table,
        draws_from=evidence.draws_from,
        draws=len(evidence.log_ratios),
        ess=evidence.share * len(evidence.log_ratios),
        khat=khat_of_ratios(evidence.log_ratios),
        rhat=evidence.rhat,
        skewness=evidence.skewness,
        sampled_rows=evidence.sampled_rows,
        non_centred=evidence.non_centred,
        modes=_modes(fit),
    )


def with_errors(summary: pd.DataFrame, fit: FittedModel) -> pd.DataFrame:
    """Return a summary with the errors of each element, and with the word and the fit as `attrs`.

    Parameters
    ----------
    summary : pandas.DataFrame
        A row for each element, by its name.
    fit : FittedModel
    """
    verdict = verdict_of(fit)
    if len(verdict.errors):
        errors = verdict.errors[list(COLUMNS)].add_suffix("_error")
        summary = summary.join(errors.round(ERROR_DIGITS))
    summary.attrs |= {
        "passes": fit.passes,
        "correction": fit.correction,
        "verdict": verdict.word,
    }
    return summary


def warn_unless_good(fit: FittedModel) -> None:
    """Warn of a fit that is not good, with the variables, how far they are off, and what to do.

    Warns
    -----
    ConvergenceWarning
        If the check of the fit found errors.
    """
    evidence = fit.approximation.evidence
    if evidence is None or evidence.obstacle is not None:
        return
    word, reason = _judge(fit, _table(fit.model, evidence), evidence)
    if word != "good":
        warn(f"The fit is {word}: {reason}.\nHint: {HINT}", ConvergenceWarning)


def _unchecked(fitted: Approximation) -> Verdict:
    word: Word = "not checked"
    if fitted.converged is False:
        word, reason = "doubtful", f"it did not converge: {fitted.reason}"
    elif fitted.evidence is not None:
        reason = str(fitted.evidence.obstacle)
    elif fitted.converged:
        reason = "a fit without a correction is returned as it is"
    else:
        reason = "a fit of a given number of steps has no stopping rule"
    table = pd.DataFrame(columns=_columns(), dtype=float)
    nothing = np.nan
    return Verdict(
        word, reason, table, "approximation", 0, nothing, nothing, nothing, nothing, None
    )


def _modes(fit: FittedModel) -> tuple[str, ...]:
    """Return where other optima are."""
    return _place_texts(fit, fit.approximation.other_modes)


def _place_texts(fit: FittedModel, modes: Sequence[OtherMode]) -> tuple[str, ...]:
    if not modes:
        return ()
    places = [named_values(fit.model, fit.program, mode.position, None) for mode in modes]
    return tuple(place_texts([fit.mean, *places], fit.std)[1:])


def _missed_modes(fit: FittedModel) -> tuple[str, ...]:
    """Return where other optima are that may have some of the posterior, and the fit has not."""
    close = [mode for mode in fit.approximation.other_modes if mode.nats <= CLOSE_NATS]
    if not close:
        return ()
    mean, scale = (
        np.concatenate([np.ravel(each) for each in values.data_vars.values()])
        for values in (fit.mean, fit.std)
    )
    far = [mode for mode in close if (np.abs(mode.position - mean) > APART * scale).any()]
    return _place_texts(fit, far)


def _judge(fit: FittedModel, table: pd.DataFrame, evidence: Evidence) -> tuple[Word, str]:
    """Return the word for errors of elements, and the elements that are off most."""
    errors = Estimates(table[list(COLUMNS)].to_numpy(), table[_columns()[4:]].to_numpy())
    clear = errors.certain
    worst = np.nanmax(clear / DOUBTFUL, axis=1, initial=0.0)
    if not (worst >= 1).any():
        if evidence.agree:
            if missed := _missed_modes(fit):
                where = f"({'), ('.join(missed)})"
                return "doubtful", f"it is of one mode, and others are nearly as good: {where}"
            return "good", "no moment is off by much"
        return "doubtful", (
            f"short chains from its draws do not agree with each other (R-hat {evidence.rhat:.2f})"
        )
    word: Word = "wrong" if (np.nan_to_num(clear) >= WRONG).any() else "doubtful"
    order = [number for number in np.argsort(-worst) if worst[number] >= 1]
    texts = [_error_text(table, number, clear[number]) for number in order[:MAX_NAMED]]
    rest = len(order) - len(texts)
    return word, "; ".join(texts) + (f"; and {rest} more elements" if rest else "")


def _error_text(table: pd.DataFrame, number: int, clear: Array) -> str:
    """Return what is off most of an element, such as "the mean of 'a' by 0.40 sd"."""
    column = COLUMNS[int(np.nanargmax(clear / DOUBTFUL))]
    name, value = table.index[number], table[column].iloc[number]
    if column == "sd":
        return f"the sd of {name!r} is {abs(value):.0%} too {'large' if value > 0 else 'small'}"
    what = {"mean": "mean", "q5": "5% quantile", "q95": "95% quantile"}[column]
    return f"the {what} of {name!r} is {abs(value):.2f} sd too {'high' if value > 0 else 'low'}"


def _columns() -> list[str]:
    return [*COLUMNS, *(f"{column}_se" for column in COLUMNS)]


def _table(model: pm.Model, evidence: Evidence) -> pd.DataFrame:
    """Return the errors of the elements of each variable, by their names."""
    names: list[str] = []
    rows: list[Array] = []
    for name, errors in evidence.errors.items():
        names += _element_names(model, name, errors.shape[:-1])
        both = np.concatenate([errors, evidence.noise[name]], axis=-1)
        rows.append(both.reshape(-1, both.shape[-1]))
    values = np.concatenate(rows) if rows else np.empty((0, 2 * len(COLUMNS)))
    return pd.DataFrame(values, index=names, columns=_columns())


def _element_names(model: pm.Model, name: str, shape: tuple[int, ...]) -> list[str]:
    """Return the names of the elements of a variable, as ArviZ writes them: "a[label]"."""
    dims = model.named_vars_to_dims.get(name, (None,) * len(shape))
    labels = []
    for dim, length in zip(dims, shape, strict=True):
        known = model.coords.get(dim) if dim is not None else None
        if known is None or len(known) != length:
            known = range(length)
        labels.append(list(storable_labels(known)))
    texts = [
        ", ".join(str(axis[index]) for axis, index in zip(labels, indices, strict=True))
        for indices in np.ndindex(*shape)
    ]
    return [f"{name}[{text}]" if shape else name for text in texts]
