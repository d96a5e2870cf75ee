"""Fingerprints of data: digests of the values, wherever these are.

Fingerprints are saved in fits and results. What they are computed from may not change.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.source_variable import window_of
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import read_pieces
from bayou.models.inputs import storage_of
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Program

# The rows of a source in memory at a time.
PIECE_ROWS = 2**16


def array_fingerprint(array: Any) -> str:
    """Return the fingerprint of an array: of its dtype, shape, values and mask.

    The cost is one pass over the array, about a second for a GB.

    Parameters
    ----------
    array : array_like or scipy.sparse matrix
        Any array. Its memory layout and byte order do not count, nor does the format of a sparse
        matrix.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> array_fingerprint(np.arange(3)) == array_fingerprint([0, 1, 2])
    True
    >>> array_fingerprint(np.arange(3)) == array_fingerprint([0.0, 1.0, 2.0])
    False
    """
    if scipy.sparse.issparse(array):
        return _matrix_fingerprint(array)
    values = np.ma.getdata(array)
    array_digest = _ArrayDigest(values.dtype, values.shape)
    array_digest.add(values)
    if np.ma.is_masked(array):
        array_digest.add(np.ma.getmaskarray(array))
    return array_digest.text


def _matrix_fingerprint(matrix: scipy.sparse.spmatrix) -> str:
    """Return the fingerprint of a sparse matrix: of its shape, non-zeros and their places."""
    rows = scipy.sparse.csr_matrix(matrix, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    parts = (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data)
    return digest(f"sparse {rows.shape}", *map(array_fingerprint, parts))


def window_fingerprints(windows: Sequence[Resident], piece_rows: int = PIECE_ROWS) -> list[str]:
    """Return the fingerprints of containers of which a part of the rows is in memory.

    They are the fingerprints of the arrays of all rows. The cost is one pass over each source.

    Parameters
    ----------
    windows : sequence of Resident
        The containers.
    piece_rows : int, optional
        The rows that are in memory at a time.
    """
    by_source: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        by_source.setdefault(id(window.column.source), []).append(index)
    digests = [
        _ArrayDigest(window.column.dtype, (window.num_rows, *window.column.shape))
        for window in windows
    ]
    for indices in by_source.values():
        layout = ColumnLayout(tuple(windows[index].column for index in indices))
        for piece in read_pieces(layout, windows[indices[0]].blocks, piece_rows):
            for index, values in zip(indices, piece, strict=True):
                digests[index].add(values)
    return [array_digest.text for array_digest in digests]


def data_fingerprint(model: pm.Model, program: Program) -> str:
    """Return the fingerprint of all data that a model is conditioned on.

    That of a generator is of its first item. The cost is one pass over all of the data.
    """
    fed = [(variable, window_of(storage_of(variable))) for variable in program.fed]
    values = [
        variable.owner.op.adapter.first
        if isinstance(variable.owner.op, GeneratorOp)
        else storage_of(variable).get_value(borrow=True)
        for variable, window in fed
        if window is None
    ]
    values += [variable.get_value(borrow=True) for variable in program.data]
    graphs = [model.logp()]
    constants = [part.data for part in ancestors(graphs) if isinstance(part, Constant)]
    parts = window_fingerprints([window for _, window in fed if window is not None])
    parts += [array_fingerprint(value) for value in [*values, *constants] if np.ndim(value)]
    return digest(*parts)


class _ArrayDigest:
    """The digest of an array whose rows come in pieces."""

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        # Little-endian, so that machines of either byte order agree.
        self._hash = hashlib.sha256(f"{dtype.newbyteorder('<').str} {shape}".encode())

    def add(self, values: NDArray[np.generic]) -> None:
        self._hash.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")))

    @property
    def text(self) -> str:
        return self._hash.hexdigest()[:32]
