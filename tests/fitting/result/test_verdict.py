"""The words of a verdict, by the errors of elements."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytest

from bayou.density.build import compile_program
from bayou.errors import ConvergenceWarning
from bayou.fitting.guides.approximation import OtherMode
from bayou.fitting.guides.evidence import Evidence
from bayou.fitting.result.named_values import named_values
from bayou.fitting.result.verdict import verdict_of, warn_unless_good

with pm.Model(coords={"side": ["left", "right"]}) as MODEL:
    pm.Normal("a", dims="side")
    pm.HalfNormal("s")

RATIOS = np.random.default_rng(1).normal(size=1000)


def fit(errors_of_a: list[list[float]], noise: float = 0.01, **evidence: Any) -> Any:
    errors = {"a": np.array(errors_of_a), "s": np.zeros(4)}
    noises = {name: np.full_like(values, noise) for name, values in errors.items()}
    found = Evidence(errors=errors, noise=noises, log_ratios=RATIOS, share=0.4, **evidence)
    return SimpleNamespace(
        model=MODEL,
        converged=True,
        approximation=SimpleNamespace(
            evidence=found, converged=True, reason="done", other_modes=()
        ),
    )


NOTHING = [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("errors", "word", "reason"),
    [
        ([0.1, 0.1, 0.2, 0.2], "good", "no moment is off by much"),
        ([0.2, 0.0, 0.0, 0.0], "doubtful", "the mean of 'a[right]' is 0.20 sd too high"),
        ([0.0, -0.4, 0.0, 0.0], "wrong", "the sd of 'a[right]' is 40% too small"),
        ([0.0, 0.4, 0.0, 0.0], "wrong", "the sd of 'a[right]' is 40% too large"),
        ([0.0, 0.0, -0.6, 0.0], "wrong", "the 5% quantile of 'a[right]' is 0.60 sd too low"),
        ([0.0, 0.0, 0.0, 0.4], "doubtful", "the 95% quantile of 'a[right]' is 0.40 sd too high"),
        ([np.nan] * 4, "good", "no moment is off by much"),
    ],
)
def test_words(errors: list[float], word: str, reason: str) -> None:
    verdict = verdict_of(fit([NOTHING, errors]))
    assert (verdict.word, verdict.reason) == (word, reason)


def test_an_error_must_be_clear_of_chance() -> None:
    assert verdict_of(fit([NOTHING, [0.3, 0, 0, 0]], noise=0.2)).word == "good"


def test_other_modes_are_told_where_they_differ() -> None:
    fitted = fit([NOTHING, NOTHING])
    positions = np.array([1.0, -1.0, 0.5]), np.array([-1.0, 2.0, 0.5])
    fitted.program = compile_program(MODEL)
    fitted.mean, fitted.std = (
        named_values(MODEL, fitted.program, values, None)
        for values in (positions[0], np.array([0.1, 0.2, 0.3]))
    )
    fitted.approximation.other_modes = (OtherMode(positions[1], 6.0),)
    verdict = verdict_of(fitted)
    assert verdict.modes == ("a[left] = -1, a[right] = 2",)
    assert str(verdict).endswith("nearly as good: (a[left] = -1, a[right] = 2)")
    # A four-hundredth of the posterior, at most, is there.
    assert verdict.word == "good"
    # What is within the draws is not missed.
    fitted.approximation.other_modes = (OtherMode(positions[0] + 0.2, 1.0),)
    assert verdict_of(fitted).word == "good"
    fitted.approximation.other_modes = (OtherMode(positions[1], 1.0),)
    verdict = verdict_of(fitted)
    assert (verdict.word, verdict.reason) == (
        "doubtful",
        "it is of one mode, and others are nearly as good: (a[left] = -1, a[right] = 2)",
    )
    with pytest.warns(ConvergenceWarning, match=r"it is of one mode(.|\n)*by.posterior"):
        warn_unless_good(fitted)


def test_chains_that_do_not_agree_are_doubtful() -> None:
    verdict = verdict_of(fit([NOTHING, NOTHING], rhat=1.7, agree=False))
    assert verdict.word == "doubtful"
    assert "do not agree with each other (R-hat 1.70)" in verdict.reason


def test_the_worst_come_first() -> None:
    verdict = verdict_of(fit([[0.2, 0, 0, 0], [0.5, 0, 0, 0]]))
    assert verdict.reason == (
        "the mean of 'a[right]' is 0.50 sd too high; the mean of 'a[left]' is 0.20 sd too high"
    )


def test_a_table_has_each_element() -> None:
    table = verdict_of(fit([NOTHING, [0.2, 0, 0, 0]])).errors
    assert list(table.index) == ["a[left]", "a[right]", "s"]
    assert list(table.columns) == ["mean", "sd", "q5", "q95", "mean_se", "sd_se", "q5_se", "q95_se"]
    assert table.loc["a[right]", "mean"] == 0.2


def test_the_text_has_the_evidence() -> None:
    text = str(verdict_of(fit([NOTHING, NOTHING], skewness=0.1, sampled_rows=8192, rhat=1.1)))
    assert text.splitlines()[0] == "good: no moment is off by much"
    assert "1,000 draws, of which 400 count if weighted, k-hat 0." in text
    assert "draws: from approximation; R-hat of short chains 1.10" in text
    assert "on a sample of 8,192 rows" in text


def test_a_warning_names_variables_and_what_to_do() -> None:
    with pytest.warns(
        ConvergenceWarning,
        match=r"The fit is wrong: the mean of 'a\[right\]' is 0.50 sd too high.\nHint: fit.verdict",
    ):
        warn_unless_good(fit([NOTHING, [0.5, 0, 0, 0]]))
    warn_unless_good(fit([NOTHING, NOTHING]))


def test_what_was_not_checked_has_a_reason() -> None:
    one = fit([NOTHING, NOTHING])
    one.approximation.evidence = Evidence("'effect' has a value for each row")
    warn_unless_good(one)
    verdict = verdict_of(one)
    assert (verdict.word, verdict.reason) == ("not checked", "'effect' has a value for each row")
    assert str(verdict) == "not checked: 'effect' has a value for each row"
    one.approximation.converged, one.approximation.reason = False, "it stopped"
    verdict = verdict_of(one)
    assert (verdict.word, verdict.reason) == ("doubtful", "it did not converge: it stopped")


def test_evidence_of_another_number_of_labels_keeps_numbers() -> None:
    one = fit([NOTHING, NOTHING])
    errors = {"a": np.zeros((3, 4))}
    one.approximation.evidence = replace(one.approximation.evidence, errors=errors, noise=errors)
    assert list(verdict_of(one).errors.index) == ["a[0]", "a[1]", "a[2]"]
