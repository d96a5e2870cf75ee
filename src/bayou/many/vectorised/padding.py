"""Data sets of one padded shape side by side, each in a lane of one vectorised program.

A data set is padded with copies of its last row, which weigh nothing, up to a length that depends
on its own number of rows alone. Few lengths are in use, so that few shapes are ever compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.batching.minibatch_model import program_of_rows
from bayou.feeding.row_padding import pad_rows
from bayou.models.inputs import sampling_of, storage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Inputs, Program
    from bayou.models.interpret import ContainerValues

LEAST_LENGTH = 16


@dataclass(frozen=True, eq=False)
class Lane:
    """A data set as the inputs of a program.

    Attributes
    ----------
    inputs : tuple of ndarray
        The program's, with as many rows as the data set has.
    padded : tuple of ndarray
        The same with more rows, scaled to no more than these.
    weights : ndarray, shape (padded rows,)
        1 for each row of the data set, 0 for the others.
    """

    inputs: Inputs
    padded: Inputs
    weights: NDArray[np.float64]

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        return int(self.weights.sum())

    @property
    def shape(self) -> tuple[tuple[int, ...], ...]:
        """What data sets that run together have in common."""
        return tuple(array.shape for array in self.padded)


@dataclass(frozen=True, eq=False)
class RowProgram:
    """A model whose likelihood is one of rows, as a program that weighs each of them."""

    program: Program
    axes: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.program.layout.size

    @property
    def is_of_columns(self) -> bool:
        """Whether all data are columns of rows, so that nothing but their number may change."""
        columns = all(variable.ndim == 1 for variable in self.program.fed)
        return columns and not self.program.data

    def lane(self, held: ContainerValues) -> Lane:
        """Return the inputs that values of containers are, in the place of the present ones.

        Raises
        ------
        ValueError
            If numbers of rows differ, there is no row, not even in the model, or a whole number
            that the program was built with is another.
        """
        for variable, built_with in self.program.lengths:
            if int(_value(variable, held)) != built_with:
                raise ValueError(
                    f"`datasets` must leave {variable.name!r} as it is with sampler='blackjax', "
                    f"{built_with}, got {int(_value(variable, held))}.\n"
                    "Hint: pass sampler='nutpie'."
                )
        fed = [_value(storage_of(variable), held) for variable in self.program.fed]
        data = [_value(variable, held) for variable in self.program.data]
        lengths = {array.shape[axis] for array, axis in zip(fed, self.axes, strict=True)}
        if len(lengths) > 1:
            raise ValueError(
                f"Containers of rows must have one number of rows, got {sorted(lengths)}.\n"
                "Hint: pass all of them for each data set."
            )
        [num_rows] = lengths
        length = padded_length(num_rows)
        rows_of = fed if num_rows else [_value(storage_of(row), {}) for row in self.program.fed]
        if not all(map(np.size, rows_of)):
            raise ValueError(
                "`datasets` must have at least one row each with sampler='blackjax', got none.\n"
                "Hint: pass sampler='nutpie', or build the containers with at least one row."
            )
        more = [
            # Of a data set without rows, the first row that the model holds, of weight 0.
            pad_rows(array.take(range(max(1, num_rows)), axis), length, axis)
            for array, axis in zip(rows_of, self.axes, strict=True)
        ]
        counts = len(self.program.counted)
        # Rows are scaled by their total over those there are: to be 1, it is told of as many.
        return Lane(
            inputs=(*fed, *data, *(np.array(num_rows),) * counts),
            padded=(*more, *data, *(np.array(length),) * counts),
            weights=(np.arange(length) < num_rows).astype(float),
        )

    def check(self, position: NDArray[np.float64], lane: Lane) -> None:
        """Refuse inputs that the model cannot compute with, or that padding makes others of.

        That the likelihood is one of rows is known for the data that the model holds, which may be
        zeros for a start.

        Raises
        ------
        ValueError
            If a density depends on rows that weigh nothing.
        Exception
            What PyTensor raises, which JAX would not: of an index out of range, or other shapes.
        """
        program, end = self.program, lane.num_rows
        expected = program.interpreted_terms(position, lane.inputs)
        found = program.interpreted_terms(position, lane.padded)
        for name, term in found.items():
            own = term[:end] if name in program.terms_of_rows else term
            if not np.allclose(own, expected[name], rtol=1e-8, atol=0, equal_nan=True):
                raise ValueError(
                    f"The likelihood must be a product over rows with sampler='blackjax', but "
                    f"{name!r} takes them together.\nHint: pass sampler='nutpie'."
                )


def row_program(model: pm.Model) -> RowProgram | str:
    """Return the program of a model that lanes can run, or why there is none."""
    found = program_of_rows(model)
    if found is None:
        return "its likelihood is not known to be a product over the rows of its containers"
    _, program = found
    if program.potentials_of_batches or not program.takes_weights:
        return "a term takes the rows together"
    if not jax.config.jax_enable_x64 or program.start(0).dtype != np.float64:
        return "it computes in 32 bits"
    return RowProgram(program, tuple(sampling_of(variable)[0].axis for variable in program.fed))


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


def stacked(lanes: Sequence[Lane]) -> tuple[Inputs, NDArray[np.float64]]:
    """Put lanes of one shape side by side: inputs and weights, shapes (lanes, ...)."""
    parts = zip(*(lane.padded for lane in lanes), strict=True)
    return tuple(map(np.stack, parts)), np.stack([lane.weights for lane in lanes])


def filled_up[Item](items: Sequence[Item], number: int) -> list[Item]:
    """Repeat the first up to a number."""
    return [*items, *[items[0]] * (number - len(items))]


def _value(variable: Any, held: ContainerValues) -> NDArray[Any]:
    value = held.get(variable.container)
    return np.asarray(variable.get_value(borrow=True) if value is None else value)
