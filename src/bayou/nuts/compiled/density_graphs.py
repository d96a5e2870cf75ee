"""The graphs of a log density, its gradient and its draws, as functions of a position and of data.

They are what Numba or JAX compiles. Numba's code takes data of any length, and has no cost for a
call: it suits light densities. JAX compiles in a second for one set of shapes, is faster on many
rows, and computes all chains in one call.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytensor
from pytensor.graph.traversal import ancestors
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot

from bayou.nuts.code_cache.code_files import code_key, read_code, write_code
from bayou.nuts.code_cache.graph_text import NoTextError, graph_text
from bayou.nuts.compiled.shared_code import SharedCode

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers

_logger = logging.getLogger(__name__)

# Flags of PyTensor that change the code.
_FLAGS = ("floatX", "numba__fastmath")

# Code by graph; that of JAX by shapes too.
numba_codes = SharedCode()
jax_codes = SharedCode()

BACKENDS = ("auto", "numba", "jax")
# Numbers in the data from which on JAX is taken. A gradient of a regression of 919 rows takes 6 us
# of Numba's code and 25 of JAX's, and a call of JAX some 100 us of Python.
HEAVY_NUMBERS = 20_000


@dataclass(frozen=True, eq=False)
class DensityGraphs:
    """The graphs of a density, all of the same inputs.

    Attributes
    ----------
    check_bounds : bool
        Whether parameters of distributions out of range make the density -inf.
    inputs : tuple of Variable
        The position, the lengths of the free variables, and the other arguments.
    density : tuple of Variable
        The log density and its gradient.
    draw : tuple of Variable
        The flat draw.
    key : hashable
        Equal for graphs that compute the same.
    """

    check_bounds: bool
    inputs: tuple[Variable, ...]
    density: tuple[Variable, ...]
    draw: tuple[Variable, ...]
    key: Hashable = field(repr=False)

    def numba_code(self) -> tuple[Any, Any]:
        """Return the C functions that nutpie calls, compiled once for all graphs that are equal."""
        return numba_codes.get_or_compile(self.key, lambda: _read_or_compile(self))

    def compiles_slowly(self) -> bool:
        """Return whether Numba takes 5 to 20 s to compile, where JAX takes one: with matrices."""
        nodes = (variable.owner for variable in ancestors([*self.density, *self.draw]))
        return any(node is not None and isinstance(node.op, Dot | Blockwise) for node in nodes)

    def choose_backend(self, arguments: Sequence[Numbers]) -> str:
        """Return "jax" for much data and where Numba compiles slowly, else "numba"."""
        is_heavy = sum(value.size for value in arguments) > HEAVY_NUMBERS
        return "jax" if is_heavy or self.compiles_slowly() else "numba"


def check_backend(backend: str) -> None:
    """Check the name of what compiles a density.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    if backend not in BACKENDS:
        raise ValueError(
            f"`backend` must be one of {BACKENDS}, got {backend!r}.\n"
            'Hint: "auto" takes what is faster.'
        )


def _read_or_compile(graphs: DensityGraphs) -> tuple[Any, Any]:
    """Return the C functions of graphs from a file, or compile and write them."""
    from bayou.nuts.code_cache.machine_code import load_functions, pack_functions
    from bayou.nuts.compiled.numba_code import CALL_VERSION

    try:
        text = graph_text(graphs.inputs, [*graphs.density, *graphs.draw])
    except NoTextError as error:
        _logger.info("Machine code is not kept, since a graph has no text of its own: %s", error)
        return compile_numba(graphs)
    flags = [f"{name} {getattr(pytensor.config, name)}" for name in _FLAGS]
    parts = [f"numba {CALL_VERSION}", f"check_bounds {graphs.check_bounds}", *flags, text]
    key = code_key(parts, ("numba", "llvmlite", "numpy", "pytensor", "pymc", "nutpie"))
    content = read_code(key)
    if content is not None and (functions := load_functions(content)):
        return functions[0], functions[1]
    compiled = compile_numba(graphs)
    content = pack_functions(compiled)
    if content is None or not (functions := load_functions(content)):
        return compiled
    write_code(key, content)
    return functions[0], functions[1]


def compile_numba(graphs: DensityGraphs) -> tuple[Any, Any]:
    """Compile the functions that nutpie calls: of the density with its gradient, and of a draw."""
    from bayou.nuts.compiled.numba_code import expand_code, loader, logp_code, numba_function

    load = loader([variable.type for variable in graphs.inputs[1:]])
    return (
        logp_code(numba_function(graphs.check_bounds, graphs.inputs, graphs.density), load),
        expand_code(numba_function(graphs.check_bounds, graphs.inputs, graphs.draw), load),
    )
