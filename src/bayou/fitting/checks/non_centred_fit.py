"""A second fit of a model, with its hierarchical normals as offsets, and its draws as positions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.density.build import compile_like
from bayou.fitting.checks.model_space import free_values
from bayou.fitting.fixed_draws.correction import correct_stds
from bayou.fitting.fixed_draws.dadvi import fit_fixed_draws
from bayou.fitting.rows.pass_counts import PassCounter
from bayou.models.non_centred import non_centred_model

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]


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


def fit_non_centred(task: Task, model: pm.Model) -> NonCentredFit | None:
    """Fit a model with its hierarchical normals as offsets.

    Parameters
    ----------
    task : Task
        That of the fit with the normals.
    model : pymc.Model
        The model of its program.

    Returns
    -------
    NonCentredFit or None
        None if the model has no such normals, or the fit does not converge.

    Raises
    ------
    KeyboardInterrupt
        If it is interrupted.
    """
    layout = task.program.layout
    written = non_centred_model(model, dict(zip(layout.names, layout.shapes, strict=True)))
    if written is None:
        return None
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
