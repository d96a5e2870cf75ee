"""The warning of a fit that did not converge, with a hint that fits how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.errors import ConvergenceWarning, warn

if TYPE_CHECKING:
    from bayou.fitting.guides.approximation import Approximation


def warn_unless_converged(approximation: Approximation, *, has_windows: bool) -> None:
    """Warn if a stopping rule was not met.

    Parameters
    ----------
    approximation : Approximation
        The result of the fit.
    has_windows : bool
        Whether only a part of the rows was in memory at a time.
    """
    if approximation.converged is False:
        hint = convergence_hint(approximation, has_windows=has_windows)
        warn(f"The fit did not converge: {approximation.reason}.\nHint: {hint}", ConvergenceWarning)


def convergence_hint(approximation: Approximation, *, has_windows: bool) -> str:
    """Return what to do about a fit that did not converge."""
    if not len(approximation.elbo):
        # The loss was never finite: the start is checked on some of the rows only.
        return "check the observed values of all rows against the support of the likelihood."
    if approximation.interrupted:
        return (
            "let it run to its end before relying on it; with `checkpoint`, a fit in batches can "
            "be resumed."
        )
    if has_windows:
        return (
            "use by.inspect to see whether the source is sorted, and by.shuffle if it is; or look "
            "at fit.elbo."
        )
    if np.isnan(approximation.rates).all():
        # The line search of fixed draws chose the steps.
        return (
            "give each free variable a proper prior of about the scale that it can have, and look "
            "at fit.elbo and fit.summary(); by.sample draws from the posterior itself."
        )
    return 'leave `n="auto"`, or pass a larger `batch_size`; and look at fit.elbo and fit.plot().'
