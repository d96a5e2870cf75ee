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

import bayou.nuts.operations.numba_functions  # noqa: F401 (registers them)
from bayou.nuts.operations.quick_operations import numba_mode

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
        # The C functions copy what they return, so PyTensor need not.
        borrowed = [pytensor.Out(output, borrow=True) for output in outputs]
        function = pm.compile(inputs, borrowed, mode=numba_mode(), on_unused_input="ignore")
    return function.vm.jit_fn  # type: ignore[no-any-return]


# The places in nutpie's table of pointers; those of the other arguments follow.
_SHAPES, _FRAME, _NUM_OWN = range(3)
# Raise it with each change of how the C functions are called, and of what `bayou.nuts.operations`
# compute: code that is kept in files is called in one way only, and another one ends the process.
CALL_VERSION = 3


def table_arrays(frame: Frame, arguments: Sequence[Numbers]) -> list[Numbers]:
    """Return the arrays whose pointers the functions of this module are called with.

    The first has the number of rows of the factor of coordinates, 1 of a diagonal, and the lengths
    of the axes of the arguments; the second the origin of coordinates, their factor and its
    transpose, one after the other.

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
    parts = (np.asarray(frame.origin, np.float64), factor, transposed)
    own = (np.array(shapes, np.int64), np.concatenate([part.ravel() for part in parts]))
    return [*map(np.ascontiguousarray, own), *arguments]


# Loops over numbers, without arrays as a whole: Numba compiled the arithmetic of arrays for 0.6 s,
# a quarter of what a density of one variable took.
@numba.njit
def _add_product(size: Any, num_rows: Any, matrix: Any, begin: Any, vector: Any, sums: Any) -> None:
    """Add a vector times a matrix, which begins somewhere in an array; one row is a diagonal."""
    if num_rows == 1:
        for column in range(size):
            sums[column] += vector[column] * matrix[begin + column]
        return
    for row in range(num_rows):
        number = vector[row]
        for column in range(size):
            sums[column] += number * matrix[begin + row * size + column]


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
        f"    frame = carray(table[{_FRAME}], (1,), float64)\n"
        "    size = int64(dim)\n"
        "    coordinates, position = empty(size), empty(size)\n"
        "    for index in range(size):\n"
        "        coordinates[index] = x[index]\n"
        "        position[index] = frame[index]\n"
        "    transposed = size + shapes[0] * size\n"
        "    add_product(size, shapes[0], frame, transposed, coordinates, position)\n"
        f"    return (position, {', '.join(arrays)})\n"
    )
    names: dict[str, Any] = {"carray": numba.carray, "add_product": _add_product}
    names |= {"int64": np.int64, "float64": np.float64, "empty": np.empty}
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
            number = density_value[()]
            value[0] = number
            size = np.int64(dim)
            # The slope may have any layout, for each of which a function would be compiled again.
            slopes, sums = np.empty(size), np.empty(size)
            for index in range(size):
                slopes[index] = slope[index]
                sums[index] = 0.0
            num_rows = numba.carray(table[_SHAPES], (1,), np.int64)[0]
            frame = numba.carray(table[_FRAME], (1,), np.float64)
            _add_product(size, num_rows, frame, size, slopes, sums)
            for index in range(size):
                gradient[index] = sums[index]
                if not np.isfinite(sums[index]):
                    return 3
            if not np.isfinite(number):
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
