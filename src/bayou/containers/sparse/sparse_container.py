"""Variables that hold a sparse matrix, and the dense arrays of its rows as variables.

A container of a sparse matrix is PyTensor's own sparse shared variable, as ``pm.Data`` makes it.
What bayou computes with is its parts: the padded rows, which follow the value of the container.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import pytensor.sparse
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.sparse.sharedvar import SparseTensorSharedVariable
from pytensor.sparse.type import SparseTensorType
from pytensor.tensor.sharedvar import TensorSharedVariable

from bayou.containers.sparse.padded_rows import PaddedRows, pad_rows_of
from bayou.containers.variables.random_rows import NumRows

if TYPE_CHECKING:
    import scipy.sparse
    from numpy.typing import ArrayLike
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers


class SparseContainer(SparseTensorSharedVariable):
    """A container of a sparse matrix, which ``@`` and ``shape`` leave sparse.

    PyTensor's own would go through operations of dense matrices.
    """

    def __matmul__(self, other: Variable | ArrayLike) -> TensorVariable:
        """Return the product with a dense vector or matrix."""
        return pytensor.sparse.dot(self, pt.as_tensor(other))

    def __rmatmul__(self, other: Variable | ArrayLike) -> TensorVariable:
        """Return the product of a dense vector or matrix with this one."""
        return pytensor.sparse.dot(pt.as_tensor(other), self)

    dot = __matmul__

    @property
    def shape(self) -> TensorVariable:
        """The number of rows and of columns."""
        return pt.stack([NumRows(0)(self), NumRows(1)(self)])


class PartVariable(TensorSharedVariable):
    """A shared variable whose value is a part of the padded rows of a sparse matrix.

    Attributes
    ----------
    parts : RowParts
        All parts of the matrix.
    field : str
        The part: a field of :class:`PaddedRows`.
    """

    parts: RowParts
    field: str

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Numbers:
        """Return the part of what the container of the matrix holds now."""
        self.container.storage[0] = getattr(self.parts.arrays(), self.field)
        value: Numbers = super().get_value(borrow, return_internal_type)
        return value

    def clone(self, **kwargs: object) -> PartVariable:
        """Return another variable of the same part."""
        copied: PartVariable = super().clone(**kwargs)
        copied.parts, copied.field = self.parts, self.field
        return copied


class RowParts:
    """The padded rows of a sparse matrix, as shared variables that follow its container.

    Parameters
    ----------
    matrix : SparseTensorSharedVariable
        The container.

    Attributes
    ----------
    matrix : SparseTensorSharedVariable
        The container.
    values, columns, num_columns : PartVariable
        The parts.
    """

    def __init__(self, matrix: SparseTensorSharedVariable) -> None:
        self.matrix = matrix
        self._padded: tuple[scipy.sparse.spmatrix, PaddedRows] | None = None
        self.values = self._variable("values", matrix.name)
        self.columns = self._variable("columns", f"{matrix.name} (columns)")
        self.num_columns = self._variable("num_columns", f"{matrix.name} (number of columns)")

    def arrays(self) -> PaddedRows:
        """Return the padded rows of the present value; padded once for each value."""
        value = self.matrix.get_value(borrow=True)
        known = self._padded
        if known is None or known[0] is not value:
            known = self._padded = value, pad_rows_of(value, self.matrix.name)
        return known[1]

    def split(self, value: scipy.sparse.spmatrix) -> dict[Variable, Numbers]:
        """Return the parts of another value of the matrix, by their variables."""
        padded = pad_rows_of(value, self.matrix.name)
        return {getattr(self, field): getattr(padded, field) for field in PaddedRows._fields}

    def _variable(self, field: str, name: str | None) -> PartVariable:
        array = getattr(self.arrays(), field)
        kind = pt.TensorType(array.dtype, shape=(None,) * array.ndim)
        variable = PartVariable(type=kind, value=array, strict=True, name=name)
        variable.parts, variable.field = self, field
        return variable


# By the address of PyTensor's container of a matrix, which clones of a variable share; and of the
# matrix itself if it is a constant. The parts keep alive what they are of.
_parts: weakref.WeakValueDictionary[int, RowParts] = weakref.WeakValueDictionary()


def is_sparse_variable(variable: Variable) -> bool:
    """Return whether a variable of a graph is a sparse matrix."""
    return isinstance(variable.type, SparseTensorType)


def parts_of(variable: Variable) -> RowParts:
    """Return the parts of a sparse container, or of a sparse constant; clones have the same.

    Raises
    ------
    ValueError
        If the rows are of very uneven lengths.
    """
    is_constant = isinstance(variable, Constant)
    key = id(variable.data) if is_constant else id(variable.container)
    parts = _parts.get(key)
    if parts is None:
        if is_constant:
            variable = sparse_container(variable.data, variable.name or "sparse matrix")
        parts = _parts[key] = RowParts(variable)
    return parts


def sparse_container(matrix: scipy.sparse.spmatrix, name: str) -> SparseContainer:
    """Return a container of a sparse matrix, which is not copied."""
    kind = SparseTensorType(matrix.format, matrix.dtype)
    return SparseContainer(type=kind, value=matrix, strict=True, name=name)
