"""Operations of sparse matrices written as operations of the dense arrays of their rows.

Wherever a graph is rebuilt with a sparse matrix replaced by its padded rows, these rules take the
place of PyTensor's sparse operations. What has no rule is refused: nothing is made dense.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytensor.sparse as ps
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, graph_inputs, walk
from pytensor.sparse.basic import (
    Cast,
    DenseFromSparse,
    GetItem2d,
    GetItemList,
    Transpose,
)
from pytensor.sparse.math import (
    Dot,
    MultiplySparseDense,
    MultiplySparseDenseVector,
    SpSum,
    StructuredDot,
)
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot as DenseDot
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Shape, Shape_i

from bayou.containers.products.sparse_product import COLUMN_PRODUCTS, ROW_PRODUCTS
from bayou.containers.sparse.padded_rows import UnevenRowsError
from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
from bayou.containers.variables.random_rows import NumRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.sparse.sparse_container import RowParts

type Operand = Variable | SparseRows
"""An input or output of a node: a dense variable, or a sparse matrix as its rows."""

_WITHOUT_COMPILING = Mode(linker="py", optimizer=None)
HINT = (
    "a sparse matrix may be multiplied, X @ b or pytensor.sparse.dot, transposed, summed, scaled, "
    "X * c, and cut into rows, X[:10]. Do other work on the matrix before it goes into the model; "
    "or pass it as a dense array, X.toarray(), if memory allows."
)


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A sparse matrix of a graph, as the variables of its padded rows.

    Attributes
    ----------
    values, columns, num_columns : TensorVariable
        The rows, as :class:`bayou.containers.sparse.padded_rows.PaddedRows` has them.
    name : str or None
        The name of the matrix.
    is_transposed : bool
        Whether the matrix is that of these rows transposed.
    """

    values: TensorVariable
    columns: TensorVariable
    num_columns: TensorVariable
    name: str | None
    is_transposed: bool = False

    @classmethod
    def of(cls, parts: RowParts) -> SparseRows:
        """Return the rows of a container."""
        return cls(parts.values, parts.columns, parts.num_columns, parts.matrix.name)

    @property
    def shape(self) -> list[TensorVariable]:
        """The number of rows and of columns of the matrix."""
        lengths = [self.values.shape[0], self.num_columns]
        return lengths[::-1] if self.is_transposed else lengths

    @property
    def transposed(self) -> SparseRows:
        """The transposed matrix."""
        return replace(self, is_transposed=not self.is_transposed)

    def times(self, array: TensorVariable) -> TensorVariable:
        """Return the product with a dense vector or matrix."""
        product = COLUMN_PRODUCTS if self.is_transposed else ROW_PRODUCTS
        if array.type.ndim == 2 and array.type.shape[1] == 1:
            return pt.expand_dims(self.times(array[:, 0]), 1)
        return product(self.values, self.columns, self.num_columns, array)

    def rows_scaled(self, scale: TensorVariable) -> SparseRows:
        """Return the matrix with each row, before it was transposed, times a number."""
        return replace(self, values=self.values * pt.expand_dims(scale, 1))


def apply_to_rows(node: Apply, inputs: Sequence[Operand]) -> list[Operand]:
    """Apply the operation of a node to inputs of which some are sparse matrices.

    Parameters
    ----------
    node : Apply
        A node of a graph.
    inputs : sequence of Variable or SparseRows
        The inputs in the place of its own.

    Returns
    -------
    list of Variable or SparseRows
        The outputs.

    Raises
    ------
    TypeError
        If there is no rule for the operation: names it and the matrix.
    """
    rule = _RULES.get(type(node.op))
    outputs = None if rule is None else rule(node, inputs)
    if outputs is None and _is_sparse_constant(node):
        # PyTensor computes it once. So does pm.CAR check whether its matrix is symmetric.
        return list(node.outputs)
    if outputs is None:
        name = next(part.name for part in inputs if isinstance(part, SparseRows))
        raise not_supported(name, str(node.op))
    return [outputs]


def rows_of_matrices(graphs: Sequence[Variable]) -> dict[Variable, SparseRows]:
    """Return the rows of the sparse matrices that graphs depend on, by their variables.

    Raises
    ------
    TypeError
        If the model computes a sparse matrix from variables.
    UnevenRowsError
        If the rows of a container are of very uneven lengths.
    """
    matrices: dict[Variable, SparseRows] = {}

    def inputs_of(variable: Variable) -> Sequence[Variable]:
        if variable.owner is None or (is_sparse_variable(variable) and _is_constant(variable)):
            return []
        return list(variable.owner.inputs)

    for variable in walk(list(graphs), inputs_of, bfs=False):
        if not is_sparse_variable(variable):
            continue
        if _is_constant(variable):
            try:
                matrices[variable] = SparseRows.of(parts_of(_evaluated(variable)))
            except UnevenRowsError as error:
                _check_left_to_pytensor(graphs, variable, error)
        elif variable.owner is None:
            matrices[variable] = SparseRows.of(parts_of(variable))
        elif not any(map(is_sparse_variable, variable.owner.inputs)):
            raise not_supported(variable.name, str(variable.owner.op))
    return matrices


def _is_constant(variable: Variable) -> bool:
    return all(isinstance(leaf, Constant) for leaf in graph_inputs([variable]))


def _check_left_to_pytensor(
    graphs: Sequence[Variable], matrix: Variable, error: UnevenRowsError
) -> None:
    """Raise the error of an uneven constant unless PyTensor's sparse operations alone take it."""
    for variable in ancestors(graphs):
        if variable.owner is not None and matrix in variable.owner.inputs:
            op = variable.owner.op
            is_sparse = type(op).__module__.startswith("pytensor.sparse")
            if not is_sparse and not isinstance(op, RandomVariable):
                raise error


def _is_sparse_constant(node: Apply) -> bool:
    """Return whether a node is of an operation of sparse matrices, and of constants alone."""
    return type(node.op).__module__.startswith("pytensor.sparse") and all(
        map(_is_constant, node.outputs)
    )


def _evaluated(variable: Variable) -> Variable:
    """Return a matrix that is computed from constants as a constant."""
    if variable.owner is None:
        return variable
    return ps.as_sparse_variable(variable.eval(mode=_WITHOUT_COMPILING), variable.name)


def not_supported(name: str | None, operation: str) -> TypeError:
    """Return the error for an operation that has no rule."""
    return TypeError(
        "`model` must use a sparse matrix in operations that leave it sparse, got "
        f"{operation} of {name or 'a sparse matrix'!r}.\nHint: {HINT}"
    )


def _batched_product(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    return _product(node, inputs) if isinstance(node.op.core_op, DenseDot) else None


def _product(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    left, right = inputs
    if isinstance(left, SparseRows):
        if isinstance(right, SparseRows) or right.type.ndim > 2:
            return None
        return left.times(right)
    if left.type.ndim > 2:
        return None
    if left.type.ndim == 1:
        return right.transposed.times(left)
    return right.transposed.times(left.T).T


def _transpose(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    return inputs[0].transposed


def _cast(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    return replace(inputs[0], values=inputs[0].values.astype(node.op.out_type))


def _as_dense(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    # PyTensor writes the shape of a sparse matrix as that of the dense one; so may a user write
    # X.toarray() @ b. Where more than these is asked of it, it is refused.
    return inputs[0]


def _shape(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    return pt.stack(inputs[0].shape)


def _length(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    axis = node.op.axis if isinstance(node.op, NumRows) else node.op.i
    return inputs[0].shape[axis]


def _sum(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    [matrix] = inputs
    if node.op.axis is None:
        return matrix.values.sum()
    other = matrix.transposed if node.op.axis == 0 else matrix
    return other.times(pt.ones(other.shape[1], dtype=matrix.values.dtype))


def _multiply(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    matrix, scale = inputs
    if not isinstance(matrix, SparseRows) or isinstance(scale, SparseRows):
        return None
    if scale.type.ndim == 0:
        return replace(matrix, values=matrix.values * scale)
    if scale.type.ndim != 1:
        return None
    # A vector has a number for each column, as NumPy broadcasts it.
    if matrix.is_transposed:
        return matrix.rows_scaled(scale)
    return replace(matrix, values=matrix.values * scale[matrix.columns])


def _some_rows(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    matrix, rows = inputs
    if matrix.is_transposed or isinstance(rows, SparseRows):
        return None
    return replace(matrix, values=matrix.values[rows], columns=matrix.columns[rows])


def _slice(node: Apply, inputs: Sequence[Operand]) -> Operand | None:
    matrix, *bounds = inputs
    start, stop, step, *of_columns = [
        None if isinstance(bound, Constant) and bound.data is None else bound for bound in bounds
    ]
    if matrix.is_transposed or any(bound is not None for bound in of_columns):
        return None
    rows = slice(start, stop, step)
    return replace(matrix, values=matrix.values[rows], columns=matrix.columns[rows])


# Products of dense matrices are among these: PyTensor writes them where one is sparse.
_RULES: dict[type[Op], Callable[[Apply, Sequence[Operand]], Operand | None]] = {
    **dict.fromkeys((Dot, StructuredDot, DenseDot), _product),
    Blockwise: _batched_product,
    Transpose: _transpose,
    Cast: _cast,
    DenseFromSparse: _as_dense,
    Shape: _shape,
    **dict.fromkeys((Shape_i, NumRows), _length),
    SpSum: _sum,
    **dict.fromkeys((MultiplySparseDense, MultiplySparseDenseVector), _multiply),
    GetItemList: _some_rows,
    GetItem2d: _slice,
}
