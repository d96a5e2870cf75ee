"""Data sets padded to common shapes, so that one vectorised program runs many: each is a lane.

A data set is padded with copies of its last row, of weight 0, up to a length that depends only on
its number of rows. Few lengths are in use, so that few shapes are compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np

from bayou.batching.batched import program_of_rows
from bayou.feeding.row_padding import pad_rows
from bayou.models.inputs import sampling_of, storage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.compile.sharedvalue import SharedVariable

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs, Program
    from bayou.models.interpret import ContainerValues

# Shorter data sets share one shape: a vectorised density of 16 rows costs little more than of one.
LEAST_LENGTH = 16


@dataclass(frozen=True, eq=False)
class Lane:
    """A data set as the inputs of a program.

    Attributes
    ----------
    inputs : tuple of ndarray
        The inputs with the rows of the data set.
    padded : tuple of ndarray
        The inputs with the padded number of rows.
    weights : ndarray of float64, shape (padded rows,)
        1 for each row of the data set, 0 for the others.
    """

    inputs: Inputs
    padded: Inputs
    weights: NDArray[np.float64]

    @property
    def num_rows(self) -> int:
        """The number of rows of the data set."""
        return int(self.weights.sum())

    @property
    def shape(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the padded inputs, which data sets of one batch have in common."""
        return tuple(array.shape for array in self.padded)


@dataclass(frozen=True, eq=False)
class RowProgram:
    """A model whose likelihood is a product over rows, each of which has a weight.

    Attributes
    ----------
    program : Program
    axes : tuple of int
        The axis of rows of each input that is fed.
    """

    program: Program
    axes: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.program.layout.size

    @property
    def is_of_columns(self) -> bool:
        """Whether all data are columns of rows, so that only the number of rows can change."""
        columns = all(variable.ndim == 1 for variable in self.program.fed)
        return columns and not self.program.data

    def lane(self, values: ContainerValues) -> Lane:
        """Return the lane of a data set.

        Parameters
        ----------
        values : mapping of container to ndarray
            Values of shared variables to use instead of the present ones.

        Raises
        ------
        ValueError
            If numbers of rows differ, neither the data set nor the model has a row, or a whole
            number that the program was built with has changed.
        """
        for variable, built_with in self.program.lengths:
            value = _value(variable, values)
            if not np.array_equal(value, built_with):
                raise ValueError(
                    f"`datasets` must leave {variable.name!r} as it is with sampler='blackjax', "
                    f"{built_with}, got {value}.\n"
                    "Hint: pass sampler='nutpie'."
                )
        fed = [_value(storage_of(variable), values) for variable in self.program.fed]
        data = [_value(variable, values) for variable in self.program.data]
        lengths = {array.shape[axis] for array, axis in zip(fed, self.axes, strict=True)}
        if len(lengths) > 1:
            raise ValueError(
                f"Containers of rows must have one number of rows, got {sorted(lengths)}.\n"
                "Hint: pass values for all of them in each data set."
            )
        [num_rows] = lengths
        length = padded_length(num_rows)
        # A data set without rows is padded with a row of the model, of weight 0.
        padding = fed if num_rows else [_value(storage_of(row), {}) for row in self.program.fed]
        if not all(map(np.size, padding)):
            raise ValueError(
                "`datasets` must have at least one row each with sampler='blackjax', got none.\n"
                "Hint: pass sampler='nutpie', or build the containers with at least one row."
            )
        padded = [
            pad_rows(array.take(range(max(1, num_rows)), axis), length, axis)
            for array, axis in zip(padding, self.axes, strict=True)
        ]
        counts = len(self.program.counted)
        # The density is scaled by the number of all rows over that of the rows in the arrays: both
        # are the padded length, since weights select the rows.
        return Lane(
            inputs=(*fed, *data, *(np.array(num_rows),) * counts),
            padded=(*padded, *data, *(np.array(length),) * counts),
            weights=(np.arange(length) < num_rows).astype(float),
        )

    def constrain_inputs(self, lane: Lane) -> Inputs:
        """Return the inputs that the model's variables are computed from, besides the position."""
        if self.program.constrains_rows:
            return lane.inputs
        return lane.inputs[len(self.program.fed) :]

    def check(self, position: NDArray[np.float64], lane: Lane) -> None:
        """Check that the model can compute with a data set, and that padding changes nothing.

        The program was built for a likelihood that is a product over rows on the model's data,
        which may be zeros: with other data it may not be one.

        Raises
        ------
        ValueError
            If a density depends on rows of weight 0.
        Exception
            What PyTensor raises, where JAX would be silent: for an index out of range, or for
            shapes that do not fit.
        """
        num_rows = lane.num_rows
        expected = self.program.interpreted_terms(position, lane.inputs)
        padded = self.program.interpreted_terms(position, lane.padded)
        for name, term in padded.items():
            unpadded = term[:num_rows] if name in self.program.terms_of_rows else term
            if not np.allclose(unpadded, expected[name], rtol=1e-8, atol=0, equal_nan=True):
                raise ValueError(
                    "The likelihood must be a product over rows with sampler='blackjax', but "
                    f"{name!r} depends on several rows together.\nHint: pass sampler='nutpie'."
                )


@dataclass(frozen=True)
class NoRowProgram:
    """Why a model has no program for lanes.

    Attributes
    ----------
    reason : str
        As a clause of a sentence.
    hint : str
        What to do.
    """

    reason: str
    hint: str = (
        "name the rows of what is observed, and of all containers that have them, by `dims=`, if "
        "the likelihood is a product over rows."
    )


def row_program(model: pm.Model) -> RowProgram | NoRowProgram:
    """Return the program of a model for lanes, or why there is none."""
    batched = program_of_rows(model)
    if batched is None:
        return NoRowProgram(
            "its likelihood is not known to be a product over the rows of its containers"
        )
    _, program = batched
    if program.potentials_of_batches or not program.takes_weights:
        return NoRowProgram("a term depends on several rows together")
    if not jax.config.jax_enable_x64 or program.start(0).dtype != np.float64:
        return NoRowProgram(
            "it computes in 32 bits", 'set pytensor.config.floatX = "float64" before it is built.'
        )
    axes = tuple(sampling_of(variable)[0].axis for variable in program.fed)
    return RowProgram(program, axes)


def padded_length(num_rows: int) -> int:
    """Round a number of rows up to two binary digits: 16, 24, 32, 48, 64, ...

    Examples
    --------
    >>> [padded_length(num_rows) for num_rows in (1, 16, 17, 25, 100, 300)]
    [16, 16, 24, 32, 128, 384]
    """
    if num_rows <= LEAST_LENGTH:
        return LEAST_LENGTH
    step = 1 << ((num_rows - 1).bit_length() - 2)
    return -(-num_rows // step) * step


def stack_lanes(lanes: Sequence[Lane]) -> tuple[Inputs, NDArray[np.float64]]:
    """Stack the padded inputs and the weights of lanes of one shape, shapes (lanes, ...)."""
    parts = zip(*(lane.padded for lane in lanes), strict=True)
    return tuple(map(np.stack, parts)), np.stack([lane.weights for lane in lanes])


def fill_up[Item](items: Sequence[Item], number: int) -> list[Item]:
    """Return so many items: all of them, and copies of the first."""
    return [*items, *[items[0]] * (number - len(items))]


def _value(variable: SharedVariable, values: ContainerValues) -> Numbers:
    value = values.get(variable.container)
    return np.asarray(variable.get_value(borrow=True) if value is None else value)
