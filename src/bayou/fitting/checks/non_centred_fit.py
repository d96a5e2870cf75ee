"""A second fit of a model, with its hierarchical normals as offsets, and its draws as positions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.density.build import compile_like
from bayou.fitting.checks.model_space import free_values
from bayou.fitting.checks.proposals import fitted_normal
from bayou.fitting.fixed_draws.correction import correct_stds
from bayou.fitting.fixed_draws.dadvi import fit_fixed_draws
from bayou.fitting.rows.pass_counts import PassCounter
from bayou.models.non_centred import SUFFIX, hierarchical_normals, non_centred_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]


# Offsets of a smaller standard deviation are known from the data: their normal is better as it is.
LEAST_SPREAD = 0.5


class NonCentredFit(NamedTuple):
    """A fit in which some normals are offsets.

    Attributes
    ----------
    program : Program
        The model with offsets. Its other variables stand where they do in the model.
    approximation : Approximation
    names : tuple of str
        The normals.
    """

    program: Program
    approximation: Approximation
    names: tuple[str, ...]

    def model_positions(self, program: Program, positions: Array) -> Array:
        """Return positions of the model with its normals, of those with offsets.

        Parameters
        ----------
        program : Program
            The model with its normals.
        positions : ndarray, shape (num_positions, size)
        """
        values = free_values(self.program, positions)
        layout = program.layout
        moved = positions.copy()
        places = dict(zip(layout.names, layout.split(np.arange(layout.size)), strict=True))
        for name in self.names:
            # A normal without a transform is its own value variable.
            moved[:, places[name].ravel()] = values[name].reshape(len(moved), -1)
        return moved

    def wide_offsets(self) -> tuple[str, ...]:
        """Return the normals of whose offsets the data say little."""
        normal, layout = fitted_normal(self.approximation), self.program.layout
        assert normal is not None
        variances = normal.factor**2 if normal.factor.ndim == 1 else (normal.factor**2).sum(axis=1)
        spreads = dict(zip(layout.names, layout.split(np.sqrt(variances)), strict=True))
        return tuple(
            name for name in self.names if spreads[f"{name}{SUFFIX}"].mean() >= LEAST_SPREAD
        )


def non_centred_fits(task: Task, model: pm.Model) -> Iterator[NonCentredFit]:
    """Yield fits of a model with its hierarchical normals as offsets.

    First all of them, then those alone of whose offsets the data say little. Nothing comes if the
    model has no such normals, or a fit does not converge.

    Parameters
    ----------
    task : Task
        That of the fit with the normals.
    model : pymc.Model
        The model of its program.

    Raises
    ------
    KeyboardInterrupt
        If it is interrupted.
    """
    names = hierarchical_normals(model)
    fitted = _fit(task, model, names) if names else None
    if fitted is None:
        return
    yield fitted
    wide = fitted.wide_offsets()
    fitted = _fit(task, model, wide) if wide and wide != names else None
    if fitted is not None:
        yield fitted


def _fit(task: Task, model: pm.Model, names: tuple[str, ...]) -> NonCentredFit | None:
    """Return a fit with some normals as offsets, None if it does not converge."""
    layout = task.program.layout
    written = non_centred_model(model, names, dict(zip(layout.names, layout.shapes, strict=True)))
    program = compile_like(written.model, task.program)
    start = program.start(task.noise_seed)
    # Not among the losses and the passes of the first fit.
    own = replace(task, program=program, start=start, report=_ignore, counter=PassCounter())
    fitted = correct_stds(own, fit_fixed_draws(own, None), required=False)
    if fitted.interrupted:
        raise KeyboardInterrupt
    return NonCentredFit(program, fitted, written.names) if fitted.converged else None


def _ignore(_: Array) -> None:
    """Take the loss of an iteration, which nobody is shown."""
