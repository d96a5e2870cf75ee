"""The C functions that nutpie calls: values by pointers, and codes for what is not finite."""

from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
import pytest

from bayou.fitting.guides.coordinates import Frame
from bayou.nuts.compiled.numba_code import expand_code, loader, logp_code, table_arrays


class Call:
    """A C function, called with NumPy arrays as nutpie does."""

    def __init__(self, code: Any, arguments: list[np.ndarray], frame: Frame) -> None:
        self.code = code.ctypes
        # Kept, since the table holds pointers.
        self.arrays = table_arrays(frame, arguments)
        self.table = np.array([array.ctypes.data for array in self.arrays], np.uintp)

    def __call__(self, *values: Any) -> int:
        given = [
            value.ctypes.data_as(kind) if isinstance(value, np.ndarray) else value
            for value, kind in zip((*values, self.table), self.code.argtypes, strict=True)
        ]
        return int(self.code(*given))


def identity(size: int) -> Frame:
    return Frame(np.zeros(size), np.ones(size))


ARGUMENTS = [np.arange(6, dtype=np.int8).reshape(2, 3), np.array(0.5, np.float32)]
TYPES = [pt.matrix(dtype="int8").type, pt.scalar(dtype="float32").type]


@numba.njit
def total(position: Any, matrix: Any, factor: Any) -> Any:
    return np.array(position.sum() * matrix.sum() * factor), matrix.sum() * factor + 0 * position


@numba.njit
def repeated(position: Any, matrix: Any, factor: Any) -> Any:
    return (np.concatenate((position, matrix.ravel() * factor[()])),)


def test_density_and_gradient() -> None:
    logp = Call(logp_code(total, loader(TYPES)), ARGUMENTS, identity(2))
    gradient, value = np.empty(2), np.empty(1)
    assert logp(2, np.array([1.0, 2.0]), gradient, value) == 0
    assert value[0] == 3 * 15 * 0.5
    np.testing.assert_array_equal(gradient, [7.5, 7.5])
    # nan and inf times 0 are nan in the gradient; codes above 0 are divergences.
    logp = Call(logp_code(total, loader(TYPES)), ARGUMENTS, identity(1))
    assert logp(1, np.array([np.nan]), gradient, value) == 3
    assert logp(1, np.array([1e308]), gradient, value) == 4


FACTOR = np.array([[2.0, 0.0], [1.0, 3.0]])


@pytest.mark.parametrize("factor", [FACTOR, np.diag(FACTOR)])
def test_coordinates(factor: np.ndarray) -> None:
    frame = Frame(np.array([10.0, 20.0]), factor)
    gradient, value, coordinates = np.empty(2), np.empty(1), np.array([1.0, -1.0])
    logp = Call(logp_code(total, loader(TYPES)), ARGUMENTS, frame)
    assert logp(2, coordinates, gradient, value) == 0
    position = frame.positions(coordinates)
    assert value[0] == position.sum() * 7.5
    np.testing.assert_allclose(gradient, frame.gradients(np.full(2, 7.5)))
    np.testing.assert_allclose(frame.coordinates(position), coordinates)
    draw = np.empty(8)
    assert (
        Call(expand_code(repeated, loader(TYPES)), ARGUMENTS, frame)(2, 8, coordinates, draw) == 0
    )
    np.testing.assert_allclose(draw[:2], position)


def test_flat_draws() -> None:
    expand = Call(expand_code(repeated, loader(TYPES)), ARGUMENTS, identity(1))
    draw = np.empty(7)
    assert expand(1, 7, np.array([9.0]), draw) == 0
    np.testing.assert_array_equal(draw, [9, 0, 0.5, 1, 1.5, 2, 2.5])
