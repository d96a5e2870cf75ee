"""What a check of a fit found: how far each variable is off, and what that was seen by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

type DrawsFrom = Literal["approximation", "importance weights", "short chains"]


@dataclass(frozen=True)
class Evidence:
    """What importance weights say of a fit.

    Attributes
    ----------
    obstacle : str or None
        Why the fit was not checked; all else is empty then.
    errors, noise : dict of str to ndarray, shapes (..., 4)
        Of each element of each free variable, in the space of the model: the errors of the mean,
        the sd, the 5% and the 95% quantile, in standard deviations, and the standard errors of
        these estimates. They are those of what the fit returns: of the weighted draws, if there
        are any. nan where an element was not looked at.
    log_ratios : ndarray, shape (num_draws,)
        Of draws from the approximation, without weights: the log density of the model over that of
        the approximation.
    share : float
        The share of these draws that counts, if they are weighted.
    power : float
        One if enough of them count; else the power of the ratios at which enough do. The errors
        are extrapolated from there.
    skewness : float
        The most that a quantile moves, in standard deviations, if each draw is kept or mirrored at
        the mean by its density (Pozza, Durante and Szabo 2024).
    draws_from : {"approximation", "importance weights", "short chains"}
        Where the draws of the fit come from.
    rhat : float
        The largest R-hat of the short chains; nan if there were none.
    agree : bool
        False if there were short chains, and they do not agree with each other.
    sampled_rows : int or None
        The number of rows that the density was computed on, if these are a sample.
    non_centred : tuple of str
        Hierarchical normals that were fitted again as offsets. All else is of that fit then.
    """

    obstacle: str | None = None
    errors: Mapping[str, Array] = field(default_factory=dict)
    noise: Mapping[str, Array] = field(default_factory=dict)
    log_ratios: Array = field(default_factory=lambda: np.empty(0), repr=False)
    share: float = np.nan
    power: float = np.nan
    skewness: float = np.nan
    draws_from: DrawsFrom = "approximation"
    rhat: float = np.nan
    agree: bool = True
    sampled_rows: int | None = None
    non_centred: tuple[str, ...] = ()
