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

_POINTERS = types.CPointer(types.voidptr)
_NUMBERS = types.CPointer(types.float64)
_LOGP_SIGNATURE = types.int64(types.uint64, _NUMBERS, _NUMBERS, _NUMBERS, _POINTERS)
_EXPAND_SIGNATURE = types.int64(types.uint64, types.uint64, _NUMBERS, _NUMBERS, _POINTERS)


def numba_function(
    model: pm.Model, inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> Callable[..., Any]:
    """Compile a graph by Numba, and return the compiled function of its inputs."""
    # What Numba reads from PyTensor's cache on the disk rounds otherwise than what it has compiled:
    # the second run of a script would draw other numbers than the first.
    with model, pytensor.config.change_flags(numba__cache=False):
        function = pm.compile(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
    return function.vm.jit_fn  # type: ignore[no-any-return]


def loader(argument_types: Sequence[Any]) -> Callable[..., Any]:
    """Return a Numba function from nutpie's pointers to the position and the other arguments.

    The first pointer of the table leads to the shapes of the arrays that the others lead to. It is
    written out as source, because a loop over arrays of different types is slow to compile.
    """
    arrays, axis = [], 0
    for index, argument in enumerate(argument_types):
        shape = "".join(f"shapes[{axis + step}], " for step in range(argument.ndim))
        arrays.append(f"carray(table[{index + 1}], ({shape}), dtype_{index})")
        axis += argument.ndim
    source = (
        "def load(dim, x, table):\n"
        f"    shapes = carray(table[0], ({axis},), int64)\n"
        f"    return (carray(x, (dim,)), {', '.join(arrays)})\n"
    )
    names: dict[str, Any] = {"carray": numba.carray, "int64": np.int64}
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
