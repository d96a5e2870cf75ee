"""The arguments of Minibatch: what is read from them, and the errors for wrong ones."""

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayou as by
from bayou.containers.minibatch_arguments import broadcast_flags, number_dtype, read_seed
from bayou.sampling.axes import AxisSample

X, Y = np.ones((6, 2)), np.ones(6)
SEVERAL = (
    r"^`data` must be one array, got {number}\.\n"
    r"Hint: make a minibatch of each, x = by\.Minibatch\(X, {size}\) and "
    r"y = by\.Minibatch\(y, {size}\): those of one random_seed draw the same rows, and "
    r"by\.align_minibatches\(\[x, y\]\) brings them back in step\. Or build the model with "
    r"by\.Data and fit it by by\.fit\(batch_size={size}\)\.$"
)


@pytest.mark.parametrize(
    ("arguments", "options", "number", "size"),
    [
        ((X, Y), {"batch_size": 4}, 2, 4),
        ((X, Y, Y), {"batch_size": 4}, 3, 4),
        ((X, Y), {}, 2, 512),
        ((X, pd.Series(Y)), {}, 2, 512),
        ((X, by.source(Y)), {}, 2, 512),
        ((X, by.source({"y": Y})["y"]), {}, 2, 512),
        ((X,), {"batch_size": Y}, 2, 512),
    ],
)
def test_several_arrays_in_the_form_of_pymc(
    arguments: Any, options: dict[str, Any], number: int, size: int
) -> None:
    with pytest.raises(TypeError, match=SEVERAL.format(number=number, size=size)):
        by.Minibatch(*arguments, **options)


def test_the_hint_for_several_arrays_works() -> None:
    x, y = by.Minibatch(np.column_stack([np.arange(6)] * 2), 4), by.Minibatch(np.arange(6), 4)
    by.align_minibatches([x, y])
    np.testing.assert_array_equal(x.eval()[:, 0], y.eval())


def test_the_signature_is_shown() -> None:
    parameters = inspect.signature(by.Minibatch).parameters
    assert list(parameters)[:2] == ["data", "batch_size"]
    assert by.Minibatch(Y, np.int64(3)).eval().shape == (3,)


def test_no_seed_is_a_new_one() -> None:
    assert read_seed(7) == 7
    first, second = read_seed(None), read_seed(None)
    assert first != second
    assert min(first, second) >= 0


def test_dtypes_of_numbers_alone() -> None:
    assert number_dtype("int32") == np.dtype(np.int32)
    for dtype in ("no dtype", "complex64", object):
        with pytest.raises(TypeError, match=r"^`dtype` must be a boolean, integer or float dtype"):
            number_dtype(dtype)


def test_flags_are_of_axes_of_length_one_in_a_batch() -> None:
    one_row = (AxisSample(0, 1, 42, 0),)
    assert broadcast_flags(None, (5, 2), one_row) == (False, False)
    assert broadcast_flags([True, False], (5, 2), one_row) == (True, False)
    assert broadcast_flags([False, True], (5, 1), ()) == (False, True)
    with pytest.raises(ValueError, match=r"for batches of shape \(5, 2\)"):
        broadcast_flags([True, False], (5, 2), ())


@pytest.mark.parametrize(
    ("data", "kwargs", "error", "text"),
    [
        (["a", "b"], {}, TypeError, "`data` of minibatch 'Minibatch' must hold numbers"),
        ([object()], {}, TypeError, "must hold numbers or booleans"),
        ([1.0, np.nan], {}, ValueError, "must hold no missing values, got 1: in row 1"),
        (np.ma.masked_equal([1, 2], 2), {}, ValueError, "must hold no missing values"),
        (np.zeros((0, 3)), {}, ValueError, r"at least one row in every axis, got shape \(0, 3\)"),
        (np.zeros((3, 0)), {}, ValueError, r"at least one row in every axis, got shape \(3, 0\)"),
        ([1, 2], {"in_memory_size": [slice(5, 9)]}, ValueError, r"got shape \(0,\).\nHint: check"),
        ([1, 2], {"batch_size": 0}, ValueError, "`batch_size` takes sizes of at least 1"),
        (3.0, {"batch_size": 2}, ValueError, "has 1 entries for data with 0 axes"),
        ([1, 2], {"in_memory_size": "x"}, TypeError, "`in_memory_size` must be an int"),
        ([1, 2], {"dtype": "complex64"}, TypeError, "`dtype` must be a boolean, integer or float"),
        ([1, 2], {"update_shared_f": 3}, TypeError, "`update_shared_f` must be callable, got 3"),
        ([1, 2], {"broadcastable": (True, False)}, TypeError, "a bool for each of the 1 axes"),
        ([1, 2], {"broadcastable": (1,)}, TypeError, r"a bool for each of the 1 axes, got \(1,\)"),
        (
            [1, 2],
            {"broadcastable": (True,)},
            ValueError,
            r"got \(True,\) for batches of shape \(12",
        ),
    ],
)
def test_wrong_arguments(
    data: Any, kwargs: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        by.Minibatch(data, **kwargs)
