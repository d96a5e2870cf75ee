"""A model and its approximation: moments, how the fit ended, and their pickle.

A pickle has the model and its data, and nothing that is compiled: fits go through joblib, process
pools and `copy.deepcopy`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import cloudpickle
import jax
import numpy as np

from bayou.batching.batched import rebuild_program
from bayou.fitting.guides.moments import position_moments
from bayou.fitting.result.named_values import named_values
from bayou.fitting.rows.all_rows import all_rows_density
from bayou.models.pickling import carry_densities

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.rows.all_rows import AllRowsDensity
    from bayou.provenance.record import Provenance

# What is compiled from the model again, in about half a second.
PROGRAM_FIELDS = ("program", "density")


@dataclass(frozen=True, eq=False, repr=False)
class FittedModel:
    """A model and the approximation of its posterior.

    Attributes
    ----------
    model : pymc.Model
        The model that was fitted.
    program : Program
        The model in JAX.
    approximation : Approximation
        The fitted distribution.
    density : AllRowsDensity
        The log density on all rows.
    provenance : Provenance, optional
        The data and the model that were fitted.
    """

    model: pm.Model
    program: Program
    approximation: Approximation
    density: AllRowsDensity
    provenance: Provenance | None = None

    def __repr__(self) -> str:
        passes = "" if self.passes is None else f"passes={self.passes:.1f}, "
        return (
            f"Fit({self.approximation.guide}, steps={len(self.elbo)}, {passes}"
            f"converged={self.converged}, reason={self.reason!r}, correction={self.correction!r})"
        )

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle the fit with its model and the data that this holds now."""
        return restored_fit, (type(self), pickled_fit(self))

    def __getattr__(self, name: str) -> Any:
        """Compile the program of a fit that was pickled, once it is needed."""
        if name not in PROGRAM_FIELDS or "batching" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        vars(self).update(compiled_parts(self.model, vars(self)["batching"]))
        return vars(self)[name]

    @property
    def elbo(self) -> NDArray[np.float64]:
        """The evidence lower bound estimated in each step, in nats; higher is better."""
        return self.approximation.elbo

    @property
    def converged(self) -> bool | None:
        """True if the stopping rule was met, False if not, None if no rule was applied.

        A fit of a given number of steps has no rule. Even so, it is False if a callback or Ctrl-C
        ended the fit early, or if the ELBO of the result is far below that of the steps.
        """
        return self.approximation.converged

    @property
    def reason(self) -> str:
        """Why the fit ended and, if its correction failed, why it did."""
        return self.approximation.reason

    @property
    def correction(self) -> str | None:
        """The correction of the standard deviations: "linear_response", or None."""
        return self.approximation.correction

    @property
    def passes(self) -> float | None:
        """How many times the fit went through all of its rows, whatever the number of draws.

        A sample counts as a fraction of a pass: its share of all rows. None in fits that were saved
        by versions without this count, and for generators, whose number of rows is unknown.
        """
        return self.approximation.passes

    @property
    def compression(self) -> str | None:
        """How many distinct rows replaced all rows in the fit; None if all rows were used.

        The log density is still that of all rows.
        """
        return self.approximation.compression

    @property
    def mean(self) -> xr.Dataset:
        """The means of the free variables, transformed to the real line as PyMC names them.

        A positive variable ``s``, for example, is fitted as its log, ``s_log__``.
        """
        fitted, latent = self.approximation, self.approximation.latent
        return named_values(
            self.model,
            self.program,
            _position_moments(fitted)[0],
            None if latent is None else np.asarray(latent.location),
        )

    @property
    def std(self) -> xr.Dataset:
        """The standard deviations of the free variables, transformed to the real line."""
        fitted, latent = self.approximation, self.approximation.latent
        return named_values(
            self.model,
            self.program,
            _position_moments(fitted)[1],
            None if latent is None else np.exp(np.asarray(latent.log_scale)),
        )


def _position_moments(fitted: Approximation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means and standard deviations of the position, of resampled draws if there are."""
    if fitted.resampled is not None:
        return fitted.resampled.mean(axis=0), fitted.resampled.std(axis=0)
    return position_moments(fitted.guide, fitted.params, fitted.frame)


def pickled_fit(fit: FittedModel) -> bytes:
    """Return a fit without its program as bytes: model, data and the distribution, as NumPy arrays.

    Plain pickle, which process pools use, knows no functions that are written inside of others,
    such as those of models.

    Raises
    ------
    TypeError
        If the model holds what cannot be pickled, such as a connection.
    """
    parts = {
        field.name: getattr(fit, field.name)
        for field in fields(fit)
        if field.name not in PROGRAM_FIELDS
    }
    params, latent = jax.device_get((fit.approximation.params, fit.approximation.latent))
    frame = jax.tree.map(np.asarray, fit.approximation.frame)
    parts["approximation"] = replace(fit.approximation, params=params, latent=latent, frame=frame)
    # A fit that was pickled before may not have compiled its program since.
    pickled_before = "batching" in vars(fit)
    parts["batching"] = vars(fit)["batching"] if pickled_before else fit.program.batching
    carry_densities(fit.model)
    try:
        pickled: bytes = cloudpickle.dumps(parts)
    except Exception as error:
        raise TypeError(
            "The model and the guide of a fit must be picklable for the fit to be, got "
            f"{type(error).__name__}: {error}\n"
            "Hint: fit.save(path) writes the fit without its model, and by.load(path, model=...) "
            "reads it."
        ) from error
    return pickled


def restored_fit(kind: type[FittedModel], pickled: bytes) -> FittedModel:
    """Return a fit from :func:`pickled_fit`, whose program is compiled at its first use."""
    fit = kind.__new__(kind)
    vars(fit).update(cloudpickle.loads(pickled))
    return fit


def compiled_parts(
    model: pm.Model, batching: tuple[int, str] | None
) -> dict[str, Program | AllRowsDensity]:
    """Return the program of a fit and its density on all rows, by the fields that they are in."""
    program = rebuild_program(model, batching)
    return {"program": program, "density": all_rows_density(program)}
