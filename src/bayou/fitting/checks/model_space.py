"""The free variables in the space of the model, as columns of draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np

from bayou.density.compiled_functions import FunctionKey
from bayou.feeding.row_padding import pad_rows
from bayou.models.inputs import sampling_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Program

    type Array = NDArray[np.float64]

# The most columns: those whose means move most.
MAX_COLUMNS = 256
# Draws that are brought into the space of the model at once.
GROUP = 500


@dataclass(frozen=True)
class ConstrainKey(FunctionKey):
    """Variables in the space of the model, of given positions."""

    names: tuple[str, ...]


class ModelSpace:
    """The free variables in the space of the model, as columns: all, or those that move most."""

    def __init__(self, program: Program, positions: Array, weights: Array) -> None:
        self._program = program
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._columns = np.empty(0, dtype=np.int64)
        values = self._values(positions)
        self._size = values.shape[1]
        even = np.full(len(values), 1 / len(values))
        shift = np.abs((weights - even) @ values) / np.maximum(values.std(axis=0), 1e-300)
        self._columns = np.sort(np.argsort(-shift)[:MAX_COLUMNS])

    def draws(self, positions: Array) -> Array:
        """Return the columns of positions, shape (num_positions, num_columns)."""
        return self._values(positions)[:, self._columns]

    def named(self, values: Array) -> dict[str, Array]:
        """Return values of columns, shape (num_columns, 4), by variable, nan where not chosen."""
        every = np.full((self._size, values.shape[1]), np.nan)
        every[self._columns] = values
        named, start = {}, 0
        for name, shape in self._shapes.items():
            count = int(np.prod(shape))
            named[name] = every[start : start + count].reshape(*shape, -1)
            start += count
        return named

    def _values(self, positions: Array) -> Array:
        named = free_values(self._program, positions)
        self._shapes = {name: value.shape[1:] for name, value in named.items()}
        columns = [value.reshape(len(positions), -1) for value in named.values()]
        # An overflow is as far off as a number can be.
        return np.nan_to_num(np.concatenate(columns, axis=1), nan=0.0, posinf=1e150, neginf=-1e150)


def free_values(program: Program, positions: Array) -> dict[str, Array]:
    """Return the free variables of the written model, in its space, at each of some positions.

    Parameters
    ----------
    program : Program
    positions : ndarray, shape (num_positions, size)

    Returns
    -------
    dict of str to ndarray, shapes (num_positions, ...)
    """
    values = ConstrainedValues(program, frozenset(_free_names(program)))(positions)
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


class ConstrainedValues:
    """Variables of a program in the space of the model, compiled for groups of positions.

    Parameters
    ----------
    program : Program
        Without latent variables of rows.
    names : frozenset of str or None
        The free variables and deterministics to compute; None for all.
    """

    def __init__(self, program: Program, names: frozenset[str] | None) -> None:
        every = program.functions.constrained_names
        chosen = tuple(name for name in every if names is None or name in names)

        def constrain(position: jax.Array, inputs: tuple[jax.Array, ...]) -> dict[str, jax.Array]:
            values = program.constrain(position, inputs)
            return {name: values[name] for name in chosen}

        self._compiled = program.compiled.get_or_compile(
            ConstrainKey(chosen),
            lambda: jax.jit(jax.vmap(constrain, in_axes=(0, None))),
        )
        inputs = program.constraining_inputs()
        of_rows = program.functions.constrained_of_rows
        if program.constrains_rows and of_rows.isdisjoint(chosen):
            # One row stands for any number of them, which would compile again.
            fed, data = inputs[: len(program.fed)], inputs[len(program.fed) :]
            inputs = (*map(_first_row, program.fed, fed), *data)
        self._inputs = inputs
        self._size = program.layout.size

    def sizes(self) -> dict[str, int]:
        """Return the numbers that each variable has at a position."""
        shapes = self._compiled.eval_shape(np.empty((GROUP, self._size)), self._inputs)
        return {name: shape.size // GROUP for name, shape in shapes.items()}

    def __call__(self, positions: Array) -> dict[str, Numbers]:
        """Return the variables at positions, shapes (num_positions, ...)."""
        # Groups of one size, so that other numbers of draws compile nothing.
        groups = [
            self._compiled(pad_rows(positions[start : start + GROUP], GROUP), self._inputs)
            for start in range(0, len(positions), GROUP)
        ]
        return {
            name: np.concatenate([np.asarray(group[name]) for group in groups])[: len(positions)]
            for name in groups[0]
        }


def _first_row(variable: TensorVariable, rows: Numbers | jax.Array) -> Numbers | jax.Array:
    """Return the first row of what is fed, along each of its axes of rows."""
    for sample in sampling_of(variable):
        rows = rows.take(np.zeros(1, np.intp), axis=sample.axis)
    return rows


def _free_names(program: Program) -> list[str]:
    """Return the names of the free variables whose values are in the position."""
    model = program.options.written()
    assert model is not None
    return [variable.name for variable in model.free_RVs]
