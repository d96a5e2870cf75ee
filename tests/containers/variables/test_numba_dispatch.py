"""Numba's implementations of the containers' operations: the same results as in Python."""

import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.containers.variables.numba_dispatch import _Taker
from bayou.containers.variables.random_rows import NumRows, UniformRows
from bayou.sampling import uniform


def test_one_function_of_all_operations() -> None:
    step, data = pt.lscalar(), pt.matrix()
    items = by.generator(iter(np.arange(6.0).reshape(3, 2)))
    length = NumRows(1)(data)
    # One function, since Numba compiles for seconds.
    call = pytensor.function(
        [step, data], [UniformRows(9, 4)(step, length), length, items], mode="NUMBA"
    )
    rows, number, item = call(3, np.zeros((2, 50)))
    np.testing.assert_array_equal(rows, uniform.uniform_rows(9, np.uint64(3), np.uint64(50), 4))
    assert int(number) == 50
    assert item.tolist() == [0, 1]
    assert call(3, np.zeros((2, 50)))[2].tolist() == [2, 3]


def test_items_are_not_cached_on_disk() -> None:
    taker = _Taker(by.generator(iter([1.0])).op.next_item)
    with pytest.raises(pickle.PicklingError, match="The items of a generator are in this process"):
        pickle.dumps(taker)
    assert taker() == 1
