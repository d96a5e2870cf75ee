"""Registers the containers' operations with Numba once PyTensor compiles a graph with it.

PyTensor itself imports Numba only then: the import takes a second and 100 MB, which a fit that JAX
compiles does without. PyTensor offers no hook for it; but it looks up the rewrites tagged "numba"
whenever it compiles with Numba, and this module adds one that changes nothing and imports
:mod:`bayou.containers.variables.numba_dispatch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.compile.mode import optdb
from pytensor.graph.rewriting.basic import GraphRewriter

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph


class LoadDispatch(GraphRewriter):
    """Changes nothing in a graph, but imports what Numba needs to compile it."""

    def apply(self, fgraph: FunctionGraph) -> None:
        """Import the registration of the operations."""
        import bayou.containers.variables.numba_dispatch  # noqa: F401


optdb.register("bayou_numba_dispatch", LoadDispatch(), "numba", position=0)
