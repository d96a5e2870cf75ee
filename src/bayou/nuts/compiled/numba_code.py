"""Numba functions that nutpie calls: the log density of a model with its gradient, and its outputs.

Import this only where a density is compiled: Numba takes a second and 100 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pymc as pm
import pytensor
from numba import types

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.type import TensorType

    from bayou.containers.variables.dims import Numbers
    from bayou.fitting.guides.coordinates import Frame

_POINTERS = types.CPointer(types.voidptr)
_NUMBERS = types.CPointer(types.float64)
_LOGP_SIGNATURE = types.int64(types.uint64, _NUMBERS, _NUMBERS, _NUMBERS, _POINTERS)
_EXPAND_SIGNATURE = types.int64(types.uint64, types.uint64, _NUMBERS, _NUMBERS, _POINTERS)


def numba_function(
    check_bounds: bool, inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> Callable[..., Any]:
    """Compile a graph by Numba, and return the compiled function of its inputs."""
    # What Numba reads from PyTensor's cache on the disk rounds otherwise than what it has compiled:
    # the second run of a script would draw other numbers than the first.
    with pm.Model(check_bounds=check_bounds), pytensor.config.change_flags(numba__cache=False):
        function = pm.compile(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
    return function.vm.jit_fn  # type: ignore[no-any-return]


# The places in nutpie's table of pointers; those of the other arguments follow.
_SHAPES, _ORIGIN, _FACTOR, _TRANSPOSED, _NUM_OWN = range(5)


def table_arrays(frame: Frame, arguments: Sequence[Numbers]) -> list[Numbers]:
    """Return the arrays whose pointers the functions of this module are called with.

    Parameters
    ----------
    frame : Frame
        The coordinates in which chains move.
    arguments : sequence of ndarray
        What the density is computed from, besides the position.
    """
    factor = np.atleast_2d(np.asarray(frame.factor, np.float64))
    transposed = factor if frame.factor.ndim == 1 else factor.T
    shapes = [len(factor), *(n for value in arguments for n in value.shape)]
    own = (np.array(shapes, np.int64), np.asarray(frame.origin, np.float64), factor, transposed)
    return [*map(np.ascontiguousarray, own), *arguments]


@numba.njit
def _linear(dim: Any, vector: Any, table: Any, place: Any) -> Any:
    """Return a vector times a matrix of the table, or times a diagonal if that has one row."""
    size = np.int64(dim)
    num_rows = numba.carray(table[_SHAPES], (1,), np.int64)[0]
    matrix = numba.carray(table[place], (num_rows, size), np.float64)  # type: ignore[type-var]
    if num_rows == 1:
        return matrix[0] * vector
    result = np.zeros(size)
    for row in range(num_rows):
        number = vector[row]
        for column in range(size):
            result[column] += number * matrix[row, column]
    return result


def loader(argument_types: Sequence[TensorType]) -> Callable[..., Any]:
    """Return a Numba function from nutpie's pointers to the position and the other arguments.

    It is written out as source, because a loop over arrays of different types is slow to compile.
    """
    arrays, axis = [], 1
    for index, argument in enumerate(argument_types):
        shape = "".join(f"shapes[{axis + step}], " for step in range(argument.ndim))
        arrays.append(f"carray(table[{_NUM_OWN + index}], ({shape}), dtype_{index})")
        axis += argument.ndim
    source = (
        "def load(dim, x, table):\n"
        f"    shapes = carray(table[{_SHAPES}], ({axis},), int64)\n"
        f"    origin = carray(table[{_ORIGIN}], (dim,), float64)\n"
        f"    position = origin + linear(dim, carray(x, (dim,)), table, {_TRANSPOSED})\n"
        f"    return (position, {', '.join(arrays)})\n"
    )
    names: dict[str, Any] = {"carray": numba.carray, "linear": _linear}
    names |= {"int64": np.int64, "float64": np.float64}
    for index, argument in enumerate(argument_types):
        names[f"dtype_{index}"] = np.dtype(argument.dtype).type
    exec(source, names)
    return numba.njit(names["load"])  # type: ignore[no-any-return]


def logp_code(density: Callable[..., Any], load: Callable[..., Any]) -> Any:
    """Compile the C function that nutpie calls for the log density and its gradient.

    It returns 0; or a positive code where they are not finite, which nutpie counts as a divergence.
    """

    def logp(dim: Any, x: Any, gradient: Any, value: Any, table: Any) -> int:
        try:
            density_value, slope = density(*load(dim, x, table))
            value[0] = density_value[()]
            slope = _linear(dim, slope, table, _FACTOR)
            for index in range(dim):
                gradient[index] = slope[index]
                if not np.isfinite(slope[index]):
                    return 3
            if not np.isfinite(density_value[()]):
                return 4
        except Exception:
            return 1
        return 0

    return numba.cfunc(_LOGP_SIGNATURE)(logp)


def expand_code(outputs: Callable[..., Any], load: Callable[..., Any]) -> Any:
    """Compile the C function that nutpie calls to turn a position into a flat draw.

    It returns 0, or a negative code where it fails, which ends the chain.
    """

    def expand(dim: Any, size: Any, x: Any, draw: Any, table: Any) -> int:
        try:
            (flat,) = outputs(*load(dim, x, table))
            for index in range(size):
                draw[index] = flat[index]
        except Exception:
            return -2
        return 0

    return numba.cfunc(_EXPAND_SIGNATURE)(expand)
