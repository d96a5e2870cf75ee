"""The approximation that every method of fitting returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bayou.fitting.guides import Guide, Params
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.guides.evidence import Evidence
    from bayou.fitting.guides.mean_field import MeanFieldParams

    type Array = NDArray[np.float64]


class OtherMode(NamedTuple):
    """Another optimum that a fit saw.

    Attributes
    ----------
    position : ndarray, shape (size,)
        Its mean.
    nats : float
        How far its evidence lower bound is below that of the optimum that was fitted, by short fits
        on few draws.
    """

    position: Array
    nats: float


@dataclass(frozen=True)
class Approximation:
    """A distribution over positions, and the record of the fit that ended with it.

    Attributes
    ----------
    guide : Guide
        The family of distributions of the coordinates.
    params : pytree of jax.Array
        The member of the family.
    frame : Frame
        The coordinates.
    elbo : ndarray, shape (num_steps,)
        The evidence lower bound estimated in each step, in nats; higher is better.
    rates : ndarray, shape (num_steps,)
        The step size of each step, nan where a line search chose it.
    converged : bool or None
        True if the stopping rule was met, False if not, None if no rule was applied.
    reason : str
        Why the fit ended, and why it has no correction if that failed.
    correction : str or None
        "linear_response" if the standard deviations are corrected.
    uncorrected : str or None
        Why a correction was tried and failed.
    path : ndarray, shape (num_chunks, num_elements), or None
        The mean position in each chunk of a stochastic fit: its distance to the final mean, in
        final standard deviations.
    path_steps : ndarray of int64, shape (num_chunks,), or None
        The number of steps done at the end of each chunk.
    path_elements : ndarray of int64, shape (num_elements,), or None
        The elements of the position in the path: all, or those that moved most if there are many.
    latent : MeanFieldParams or None, shapes (num_rows, size)
        The normals of the variables with a value for each row.
    latent_factor : ndarray, shape (num_rows, size, size), or None
        Cholesky factors of the covariances within rows, if a correction gave them; None where the
        elements of a row are independent.
    passes : float or None
        How often the fit went through all of its rows; None where that was not counted.
    compression : str or None
        How many distinct rows took the place of all, if they did.
    num_distinct : int or None
        The number of these alone.
    weights : str or None
        The container with the weights of the rows, if they have some.
    interrupted : bool
        Whether Ctrl-C or a callback stopped the fit.
    evidence : Evidence or None
        What a check of the fit found. None, if there was none.
    resampled : ndarray, shape (num_draws, size), or None
        Positions that importance weights have drawn from the posterior, which take the place of
        draws from the guide. None where the guide's own are as good, or no better ones are known.
    other_modes : tuple of OtherMode
        Other optima that were seen and are nearly as good.
    """

    guide: Guide
    params: Params
    frame: Frame
    elbo: Array
    rates: Array
    converged: bool | None
    reason: str
    correction: str | None = None
    uncorrected: str | None = field(default=None, repr=False)
    path: Array | None = None
    path_steps: NDArray[np.int64] | None = None
    path_elements: NDArray[np.int64] | None = None
    latent: MeanFieldParams | None = None
    latent_factor: Array | None = field(default=None, repr=False)
    passes: float | None = field(default=None, repr=False)
    compression: str | None = field(default=None, repr=False)
    num_distinct: int | None = field(default=None, repr=False)
    weights: str | None = field(default=None, repr=False)
    interrupted: bool = field(default=False, repr=False)
    evidence: Evidence | None = field(default=None, repr=False)
    resampled: Array | None = field(default=None, repr=False)
    other_modes: tuple[OtherMode, ...] = field(default=(), repr=False)
