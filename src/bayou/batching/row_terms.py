"""Log densities on some of the rows of a model in minibatches, at positions to compare them at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.density.non_finite import check_start
from bayou.feeding.integer_ranges import array_extremes
from bayou.models.initial_point import start_function
from bayou.models.inputs import sampling_of, storage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Inputs, Program

type RowNumbers = NDArray[np.int64]
type Terms = dict[str, NDArray[np.floating]]
"""Log density of each variable and potential, unsummed."""

NUM_PRIOR = 3
# Where the density is not finite, positions nearer to the start are tried.
JITTERS = (1.0, 0.1, 0.01, 0.0)
# What NumPy and PyTensor raise where lengths do not fit, or a matrix has no factors.
FAILURES = (ValueError, IndexError, TypeError, AssertionError, ArithmeticError, NotImplementedError)


class EvaluationError(Exception):
    """A density that cannot be evaluated on a part of the rows. The message says which and why."""


class Position(NamedTuple):
    """A position, with the densities of all rows looked at there."""

    position: NDArray[np.floating]
    terms: Terms


class RowTerms:
    """Log densities of a model on some of its rows in memory.

    Parameters
    ----------
    model : pymc.Model
        The model in minibatches of one axis.
    program : Program
        Its program.
    rows : ndarray of int64, shape (num_rows,)
        The rows looked at.
    generator : numpy.random.Generator
        Draws positions and values of latent variables.
    """

    def __init__(
        self, model: pm.Model, program: Program, rows: RowNumbers, generator: np.random.Generator
    ) -> None:
        self._model, self._program, self._rows = model, program, rows
        self._generator = generator
        # Each row gets its own, so that it shows if a row takes those of another.
        self._latent = tuple(
            start + generator.uniform(-0.5, 0.5, size=start.shape)
            for start in program.latent_start(len(rows))
        )

    def of_batch(self, position: NDArray[np.floating], batch: RowNumbers) -> Terms:
        """Return the densities on some of the rows looked at.

        Parameters
        ----------
        position : ndarray, shape (size,)
            Where to evaluate.
        batch : ndarray of int64, shape (batch_size,)
            Indices into the rows looked at.

        Raises
        ------
        EvaluationError
            If the density cannot be evaluated on these rows.
        IndexError
            If an index is out of range whatever rows are there.
        """
        latent = tuple(values[batch] for values in self._latent)
        return self._terms(position, self._rows[batch], latent)

    def positions(self) -> Iterator[Position]:
        """Yield a position near the start of the model, and some drawn from the prior."""
        program = self._program
        direction = self._generator.uniform(-1, 1, size=program.layout.size)
        for jitter in JITTERS:
            position = program.start(0) + jitter * direction
            terms = self._terms(position, self._rows, self._latent)
            if all(np.isfinite(term).all() for term in terms.values()):
                break
        yield Position(position, terms)
        draw = start_function(self._model, jitter=False, prior=True)
        names = [value.name for value in self._model.value_vars]
        for seed in range(NUM_PRIOR):
            try:
                values = dict(zip(names, draw(seed), strict=True))
            except FAILURES:
                # Some distributions have a density, but no random draws.
                return
            position = np.concatenate([np.ravel(values[name]) for name in program.layout.names])
            yield Position(position, self._terms(position, self._rows, self._latent))

    def _terms(self, position: NDArray[np.floating], rows: RowNumbers, latent: Inputs) -> Terms:
        program = self._program
        inputs = _fed_rows(program, rows) + program.data_values() + latent
        try:
            return program.interpreted_terms(position, inputs)
        except FAILURES:
            # Each term alone, to see which of them it is.
            for name in program.term_names:
                self._check_term(name, position, inputs)
            raise

    def _check_term(self, name: str, position: NDArray[np.floating], inputs: Inputs) -> None:
        """Raise if one term cannot be evaluated."""
        try:
            self._program.interpreted_terms(position, inputs, name)
        except IndexError as error:
            self._check_indices(position)
            raise EvaluationError(
                f"{name!r} takes other rows by their number: without them, {first_line(error)}"
            ) from None
        except FAILURES as error:
            raise EvaluationError(
                f"{name!r} cannot be evaluated on a part of the rows ({first_line(error)})"
            ) from None

    def _check_indices(self, position: NDArray[np.floating]) -> None:
        """Raise if an index is out of range with all rows too."""
        program = self._program
        rows = np.arange(num_rows_in_memory(program))
        inputs = _fed_rows(program, rows) + program.data_values() + program.latent_start(len(rows))
        extremes = [
            (variable.name or "", array_extremes(storage_of(variable).get_value()))
            for variable in program.fed
            if variable.dtype.startswith(("int", "uint"))
        ]
        check_start(program, position, inputs, extremes)


def num_rows_in_memory(program: Program) -> int:
    """Return the number of rows in memory, of the container with the fewest."""
    num_rows: int = min(
        storage_of(variable).get_value(borrow=True).shape[sampling_of(variable)[0].axis]
        for variable in program.fed
    )
    return num_rows


def _fed_rows(program: Program, rows: RowNumbers) -> Inputs:
    return tuple(
        np.take(storage_of(variable).get_value(borrow=True), rows, sampling_of(variable)[0].axis)
        for variable in program.fed
    )


def first_line(error: Exception) -> str:
    """Return the first line of a message, without its full stop."""
    return str(error).splitlines()[0].strip().rstrip(".")
