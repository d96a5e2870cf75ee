"""Tells Numba of the containers' operations when PyTensor compiles a graph with it, not before.

PyTensor itself leaves Numba until then: it takes a second and 100 MB, which a fit that JAX compiles
does without. What Numba needs to know of a graph is asked for by rewrites of that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.compile.mode import optdb
from pytensor.graph.rewriting.basic import GraphRewriter

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph


class LoadDispatch(GraphRewriter):
    """Changes nothing in a graph that is compiled with Numba, but loads what Numba must know."""

    def apply(self, fgraph: FunctionGraph) -> None:
        """Load the functions that Numba compiles."""
        import bayou.containers.variables.numba_dispatch  # noqa: F401


optdb.register("bayou_numba_dispatch", LoadDispatch(), "numba", position=0)
