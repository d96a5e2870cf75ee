"""PyTensor's products and factors of matrices, and checks of shapes, as operations of our own.

PyTensor's implementations for Numba take all layouts of their arguments in place, by code that is
inlined some ten times: 12 s of CPU for a product of two matrices, 10 for a Cholesky factor, and
its check of a shape writes a text, for 2 s (Numba 0.66, AMD EPYC). And they look up BLAS through
Python, so that their machine code cannot be kept for later processes. These copy what BLAS does not
take as it lies, and call it by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.compile.mode import get_mode
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.linalg.solvers.triangular import SolveTriangular
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import SpecifyShape

if TYPE_CHECKING:
    from pytensor.compile.mode import Mode
    from pytensor.graph.basic import Apply
    from pytensor.graph.fg import FunctionGraph
    from pytensor.graph.op import Op


class MatrixProduct(Dot):
    """The product of two matrices of float64."""


class CholeskyFactor(Cholesky):
    """The Cholesky factor of a matrix of float64; nan where there is none."""


class TriangularSolution(SolveTriangular):
    """The solution of a triangular system of float64; nan where there is none."""


class ShapeCheck(SpecifyShape):
    """A check that an array has the lengths that are known of its shape."""


class QuickOperations(GraphRewriter):
    """Replaces PyTensor's operations by those of this module, where numbers are float64."""

    def apply(self, fgraph: FunctionGraph) -> None:
        """Rewrite a graph in place."""
        for node in fgraph.toposort():
            op: Op | None
            if type(node.op) is SpecifyShape:
                op = ShapeCheck()
            elif not _is_float64(node):
                continue
            elif type(node.op) is BatchedDot:
                op = Blockwise(MatrixProduct())
            elif type(node.op) is Blockwise:
                inner = _replacement(node.op.core_op)
                op = None if inner is None else Blockwise(inner, signature=node.op.signature)
            else:
                op = _replacement(node.op)
            if op is not None:
                fgraph.replace_all_validate(
                    list(zip(node.outputs, op(*node.inputs, return_list=True), strict=True)),
                    reason="bayou_quick_operations",
                )


def numba_mode() -> Mode:
    """Return PyTensor's mode of Numba, with operations of our own."""
    # After the rewrites that write into arguments (50 to 75), before Numba's of batches (100).
    return get_mode("NUMBA").register((QuickOperations(), 99))


def _replacement(op: Op) -> Op | None:
    if type(op) is Dot:
        return MatrixProduct()
    if type(op) is Cholesky:
        return CholeskyFactor(lower=op.lower)
    if type(op) is SolveTriangular:
        return TriangularSolution(lower=op.lower, unit_diagonal=op.unit_diagonal, b_ndim=op.b_ndim)
    return None


def _is_float64(node: Apply) -> bool:
    variables = (*node.inputs, *node.outputs)
    return all(getattr(variable.type, "dtype", None) == "float64" for variable in variables)
