"""The approximation that a fit ends with: its moments, its history, and draws from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr

from bayou.arguments import whole_number
from bayou.results.tree import posterior_tree

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.inference.approximation import Approximation
    from bayou.inference.frame import Frame
    from bayou.inference.guides import Guide, Params
    from bayou.inference.program import Program


@dataclass(frozen=True, eq=False)
class Fit:
    """An approximation of a posterior.

    Attributes
    ----------
    model : pymc.Model
        The model that was fitted.
    program : Program
        The model as JAX functions.
    approximation : Approximation
        The distribution, and how the fit came to it.
    """

    model: pm.Model
    program: Program = field(repr=False)
    approximation: Approximation = field(repr=False)

    @property
    def elbo(self) -> NDArray[Any]:
        """The evidence lower bound that each step estimated, in nats; higher is better."""
        return self.approximation.elbo

    @property
    def converged(self) -> bool:
        """Whether the fit was stable at its end; a fit of a given number of steps is not asked."""
        return self.approximation.converged

    @property
    def reason(self) -> str:
        """Why the fit ended."""
        return self.approximation.reason

    @property
    def correction(self) -> str | None:
        """What corrected the standard deviations: "linear_response", or None."""
        return self.approximation.correction

    @property
    def mean(self) -> xr.Dataset:
        """The means of the free variables, transformed to the real line as PyMC names them."""
        guide, params, frame = self._distribution
        return self._dataset(frame.positions(np.asarray(guide.mean(params))))

    @property
    def std(self) -> xr.Dataset:
        """The standard deviations of the free variables, transformed to the real line."""
        guide, params, frame = self._distribution
        return self._dataset(frame.stds(np.asarray(guide.std(params))))

    @property
    def _distribution(self) -> tuple[Guide, Params, Frame]:
        found = self.approximation
        return found.guide, found.params, found.frame

    def sample(self, draws: int = 1000, *, random_seed: int | None = None) -> xr.DataTree:
        """Draw from the approximation.

        Parameters
        ----------
        draws : int, default 1000
            The number of draws.
        random_seed : int, optional
            Decides the draws.

        Returns
        -------
        xarray.DataTree
            As ArviZ reads it: ``posterior`` in the space of the model, one chain, with the
            deterministics that depend on no minibatch; ``observed_data``; ``constant_data``.

        Raises
        ------
        ValueError
            If ``draws`` is below 1.
        """
        draws = whole_number("draws", draws, 1, "1000 give means to 3% of a standard deviation.")
        seed = np.random.SeedSequence(random_seed).generate_state(1)[0]
        size = self.program.layout.size
        guide, params, frame = self._distribution
        noise = guide.noise(jax.random.key(int(seed)), draws, size, None)
        data = self.program.data_values()

        def value(draw: Any) -> dict[str, jax.Array]:
            position = frame.positions(guide.transport(params, draw))
            return self.program.constrain(position, data)

        values = jax.jit(lambda draws: jax.lax.map(value, draws, batch_size=256))(noise)
        posterior = {name: np.asarray(part)[None] for name, part in values.items()}
        return posterior_tree(self.model, posterior, attrs={"inference_library": "bayou"})

    def _dataset(self, vector: NDArray[Any]) -> xr.Dataset:
        layout = self.program.layout
        parts = layout.split(vector)
        variables = {
            name: (_dims(self.model, name, part), part)
            for name, part in zip(layout.names, parts, strict=True)
        }
        used = {dim for dims, _ in variables.values() for dim in dims}
        coords = {
            dim: list(labels)
            for dim, labels in self.model.coords.items()
            if dim in used and labels is not None
        }
        return xr.Dataset(variables, coords)


def _dims(model: pm.Model, value_name: str, part: NDArray[Any]) -> tuple[str, ...]:
    """Name the axes of a transformed variable: the model's dims where the transform keeps them."""
    [variable] = [free for free, value in model.rvs_to_values.items() if value.name == value_name]
    dims = model.named_vars_to_dims.get(variable.name, ())
    lengths = tuple(int(model.dim_lengths[dim].eval()) for dim in dims)
    if lengths == part.shape:
        return tuple(dims)
    return tuple(f"{value_name}_dim_{axis}" for axis in range(part.ndim))
