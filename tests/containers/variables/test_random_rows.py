"""The operations of a random slice: rows, lengths and the slice, in PyTensor and in JAX."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayou.containers.variables.random_rows import (
    NumRows,
    SliceOp,
    UniformRows,
    random_slice,
    step_variable,
)
from bayou.sampling import uniform
from bayou.sampling.axes import axis_samples

MODES = ["FAST_COMPILE", "JAX"]


@pytest.mark.parametrize("mode", MODES)
def test_rows_are_those_of_the_key_and_the_step(mode: str) -> None:
    step, length = pt.lscalar(), pt.lscalar()
    rows = pytensor.function([step, length], UniformRows(12345, 7)(step, length), mode=mode)
    for number in (0, 1, 2**40):
        expected = uniform.uniform_rows(12345, np.uint64(number), np.uint64(1000), 7)
        np.testing.assert_array_equal(rows(number, 1000), expected)


def test_shapes_are_known_without_rows() -> None:
    [(length,)] = UniformRows(1, 7).infer_shape()
    assert length.data == 7
    assert NumRows(0).infer_shape() == [()]


@pytest.mark.parametrize("mode", MODES)
def test_lengths_are_those_of_the_axis(mode: str) -> None:
    data = pt.matrix()
    lengths = pytensor.function([data], [NumRows(0)(data), NumRows(1)(data)], mode=mode)
    assert [int(length) for length in lengths(np.zeros((4, 3)))] == [4, 3]


def test_operations_are_equal_by_what_they_do() -> None:
    assert UniformRows(5, 3) == UniformRows(5, 3) != UniformRows(5, 4)
    assert NumRows(0) == NumRows(0) != NumRows(1)


def test_each_call_of_a_function_advances_the_step() -> None:
    step = step_variable("step")
    # PyTensor reads the update off this attribute of a shared variable, without being told.
    call = pytensor.function([], step + 0)
    assert [int(call()) for _ in range(3)] == [0, 1, 2]
    assert step.get_value() == 3


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_a_slice_is_of_the_rows_of_its_samples(rows: int, columns: int, number: int) -> None:
    data = np.arange(30).reshape(6, 5)
    storage, step = pytensor.shared(data), step_variable("step")
    step.set_value(np.array(number))
    samples = axis_samples([rows, columns], 3, 2)
    found = random_slice(storage, step, samples, [False, False]).eval(mode="FAST_COMPILE")
    row, column = (
        uniform.uniform_rows(sample.key(), np.uint64(number), np.uint64(length), sample.size)
        for sample, length in zip(samples, data.shape, strict=True)
    )
    np.testing.assert_array_equal(found, data[row][:, column])


def test_pymc_sees_a_slice_as_a_minibatch() -> None:
    storage, step = pytensor.shared(np.ones((6, 1))), step_variable("step")
    samples = axis_samples(2, 3, 2)
    slice_ = random_slice(storage, step, samples, [False, True])
    assert isinstance(slice_.owner.op, pm.data.MinibatchOp)
    assert isinstance(slice_.owner.op, SliceOp)
    assert slice_.owner.op.samples == samples
    assert slice_.type.shape == (None, 1)
    assert slice_.owner.inputs == [storage, step]
