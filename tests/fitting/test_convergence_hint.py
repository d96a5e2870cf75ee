"""Hints for fits that did not converge, each for how it ended."""

from typing import Any

import numpy as np
import pytest

from bayou.errors import ConvergenceWarning
from bayou.fitting.convergence_hint import warn_unless_converged
from bayou.fitting.guides.approximation import Approximation
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField

STEPS = {"elbo": np.array([-2.0, -1.0]), "rates": np.array([0.1, 0.1])}
SEARCHED = STEPS | {"rates": np.full(2, np.nan)}
NONE = {"elbo": np.empty(0), "rates": np.empty(0)}


def approximation(**changes: Any) -> Approximation:
    frame = Frame(np.zeros(1), np.ones(1))
    fields = {"converged": False, "reason": "of this", **STEPS, **changes}
    return Approximation(MeanField(), None, frame, **fields)


@pytest.mark.parametrize(
    ("ended", "has_windows", "hint"),
    [
        (NONE, False, "check the observed values of all rows against the support"),
        (STEPS | {"interrupted": True}, True, "let it run to its end"),
        (STEPS, True, "use by.inspect to see whether the source is sorted, and by.shuffle"),
        (STEPS, False, 'leave `n="auto"`, or pass a larger `batch_size`'),
        (SEARCHED, False, "give each free variable a proper prior"),
    ],
)
def test_each_end_has_its_hint(ended: dict[str, Any], has_windows: bool, hint: str) -> None:
    match = rf"^The fit did not converge: of this\.\nHint: {hint}"
    with pytest.warns(ConvergenceWarning, match=match) as warned:
        warn_unless_converged(approximation(**ended), has_windows=has_windows)
    # Who has no source is not told to shuffle it.
    assert ("shuffle" in str(warned[0].message)) == (has_windows and "interrupted" not in ended)


@pytest.mark.parametrize("converged", [True, None])
def test_no_word_of_the_others(converged: bool | None) -> None:
    warn_unless_converged(approximation(converged=converged), has_windows=True)
