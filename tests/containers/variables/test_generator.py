import copy
import itertools
import pickle
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pymc.pytensorf import extract_obs_data
from pytensor.graph.replace import clone_replace
from scipy import stats

import bayou as by
from bayou.containers.variables.generator import GeneratorOp

DTYPES = ["float64", "int64", "int8", "uint16", "bool", "complex128"]


def counting(shape=(2, 3), dtype="float64", stop=None) -> Iterator[np.ndarray]:
    for number in itertools.count() if stop is None else range(stop):
        yield np.full(shape, number, dtype=dtype)


class Counter:
    """An iterator that pickles."""

    def __init__(self, stop=100):
        self.number, self.stop = 0, stop

    def __iter__(self):
        return self

    def __next__(self):
        if self.number == self.stop:
            raise StopIteration
        self.number += 1
        return np.full(2, float(self.number))


# The adapter


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ndim", range(5))
def test_adapter_reads_dtype_and_rank_off_the_first_item(dtype, ndim):
    adapter = by.GeneratorAdapter(counting((2,) * ndim, dtype))
    assert adapter.tensortype == pt.TensorType(dtype, shape=(None,) * ndim)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_adapter_casts_floats_to_floatx(dtype):
    adapter = by.GeneratorAdapter(counting(dtype=dtype))
    assert next(adapter).dtype == adapter.tensortype.dtype == pytensor.config.floatX


@given(
    items=st.integers(0, 3).flatmap(
        lambda ndim: st.lists(
            arrays("int32", array_shapes(min_dims=ndim, max_dims=ndim, min_side=0)), min_size=1
        )
    )
)
def test_adapter_keeps_every_item_in_order(items):
    received = list(by.GeneratorAdapter(iter(items)))
    assert len(received) == len(items)
    for one, other in zip(received, items, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_adapter_copies_items_that_share_a_buffer():
    def reusing():
        buffer = np.zeros(2)
        for number in range(3):
            buffer[:] = number
            yield buffer

    received = list(by.GeneratorAdapter(reusing()))
    np.testing.assert_array_equal(received, [[0, 0], [1, 1], [2, 2]])


def test_adapters_are_equal_only_to_themselves():
    iterator = counting()
    one, other = by.GeneratorAdapter(iterator), by.GeneratorAdapter(iterator)
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2


@pytest.mark.parametrize("value", [[1, 2], np.ones(3), 5, None, counting])
def test_adapter_refuses_what_is_no_iterator(value):
    with pytest.raises(TypeError, match=r"`generator` must be an iterator, got .*\nHint: call a"):
        by.GeneratorAdapter(value)


def test_errors_name_the_argument_of_the_user():
    with pytest.raises(TypeError, match=r"`gen` must be an iterator, got int"):
        by.generator(3)
    with pytest.raises(ValueError, match="`gen` must yield at least one item, got none"):
        by.generator(iter([]))


def test_adapter_refuses_an_empty_iterator():
    with pytest.raises(ValueError, match="`generator` must yield at least one item, got none"):
        by.GeneratorAdapter(iter([]))


@pytest.mark.parametrize(
    "item",
    [
        "text",
        None,
        np.array(["a"]),
        np.array([object()]),
        np.array(["2020-01-01"], "datetime64[D]"),
        np.ma.masked_array([1.0, 2.0], [True, False]),
    ],
)
def test_adapter_refuses_items_that_are_no_numbers(item):
    with pytest.raises(
        TypeError, match=r"must be numbers, got .* of dtype .*\nHint: encode text and dates"
    ):
        by.GeneratorAdapter(iter([item]))


@pytest.mark.parametrize(
    ("first", "second", "got"),
    [
        (np.ones(2), np.ones((2, 2)), "dtype float64 and rank 2"),
        (np.ones(2), 1.0, "dtype float64 and rank 0"),
        (np.ones(2), np.ones(2, "float32"), "dtype float32 and rank 1"),
        (np.ones(2), np.ones(2, "int64"), "dtype int64 and rank 1"),
        (np.ones(2, int), [1.5, 2.5], "dtype float64 and rank 1"),
        (1.0, 2**53 + 1, "dtype int64 and rank 0"),
        (True, 2, "dtype int64 and rank 0"),
    ],
)
def test_adapter_refuses_an_item_of_another_type(first, second, got):
    adapter = by.GeneratorAdapter(iter([first, second]))
    next(adapter)
    first = np.asarray(first)
    expected = f"item 1 has dtype {first.dtype} and rank {first.ndim}.\nHint: yield numpy.asarray"
    with pytest.raises(TypeError, match=f"one dtype and rank: item 2 has {got}, {expected}"):
        next(adapter)


def test_adapter_takes_numbers_and_lists_of_python_by_their_value():
    assert list(by.GeneratorAdapter(iter([0.5, 1, True]))) == [0.5, 1.0, 1.0]
    received = list(by.GeneratorAdapter(iter([[0.5, 2.5], [1, 2, 3]])))
    np.testing.assert_array_equal(received[1], [1.0, 2.0, 3.0], strict=True)


def test_adapter_pickles_its_position():
    adapter = by.GeneratorAdapter(Counter(3))
    fresh = pickle.loads(pickle.dumps(adapter))
    assert [item[0] for item in fresh] == [1, 2, 3]
    next(adapter)
    resumed = pickle.loads(pickle.dumps(adapter))
    assert [item[0] for item in resumed] == [2, 3]
    assert [item[0] for item in adapter] == [2, 3]


# The variable


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ndim", [0, 1, 3])
def test_each_evaluation_yields_the_next_item(dtype, ndim):
    shape = (2,) * ndim
    evaluate = pytensor.function([], by.generator(counting(shape, dtype)))
    for item in itertools.islice(counting(shape, dtype), 3):
        np.testing.assert_array_equal(evaluate(), item, strict=True)


@pytest.mark.parametrize(
    "mode",
    [
        "FAST_COMPILE",
        pytensor.compile.mode.Mode(linker="py", optimizer="fast_run"),
        pytensor.compile.mode.Mode(linker="vm", optimizer="fast_run"),
        "NUMBA",
    ],
    ids=["FAST_COMPILE", "py", "vm", "NUMBA"],
)
def test_uses_in_one_function_see_one_item_until_the_end(mode):
    x = by.generator(counting((4, 3), stop=3))
    clone = clone_replace(x, {})
    outputs = [(x + clone).sum(), x.shape, (x * x.shape[0]).mean() * x.T.shape[1]]
    evaluate = pytensor.function([], outputs, mode=mode)
    for number in range(3):
        total, shape, product = evaluate()
        assert (total, list(shape), product) == (24 * number, [4, 3], 16 * number)
    with pytest.raises(StopIteration):
        evaluate()
    x.set_default(np.ones((1, 1)))
    assert evaluate()[0] == evaluate()[0] == 2
    x.set_gen(counting((5, 5), stop=2))
    assert [evaluate()[0] for _ in range(3)] == [0, 50, 2]


def test_items_may_change_their_lengths():
    x = by.generator(iter([np.ones((1, 1)), np.ones((3, 2)), np.ones((0, 4))]))
    assert x.type.shape == (None, None)
    assert [x.eval().shape for _ in range(3)] == [(1, 1), (3, 2), (0, 4)]


def test_outputs_do_not_alias_the_items():
    item = np.zeros(2)
    default = np.zeros(2)
    x = by.generator(iter([item, item]), default)
    for _ in range(4):
        x.eval()[:] = 7
    np.testing.assert_array_equal(item, 0)
    np.testing.assert_array_equal(x.eval(), 0)
    np.testing.assert_array_equal(default, 0)


def test_default_comes_after_the_last_item_and_can_be_removed():
    x = by.generator(counting((2,), stop=1), default=[5, 6])
    assert [x.eval().tolist() for _ in range(3)] == [[0, 0], [5, 6], [5, 6]]
    x.set_default(None)
    with pytest.raises(StopIteration):
        x.eval()


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (1, "dtype float64 and rank 0"),
        (np.ones((2, 3, 1)), "dtype float64 and rank 3"),
        (np.ones((2, 3), "int64"), "dtype int64 and rank 2"),
        ([[1j]], "dtype complex128 and rank 2"),
    ],
)
def test_default_of_another_type_is_refused(value, got):
    message = f"`default` must have dtype float64 and rank 2 like the items, got {got}"
    with pytest.raises(ValueError, match=message):
        by.generator(counting(), default=value)
    x = by.generator(counting(stop=1), default=np.ones((1, 1)))
    with pytest.raises(ValueError, match=message):
        x.set_default(value)
    x.eval()
    np.testing.assert_array_equal(x.eval(), [[1]])


@pytest.mark.parametrize(("ndim", "dtype"), [(1, "float64"), (2, "int64"), (2, "complex128")])
def test_iterator_of_another_type_is_refused_and_the_old_one_stays(ndim, dtype):
    x = by.generator(counting())
    x.eval()
    with pytest.raises(
        TypeError,
        match=f"`gen` must yield items of dtype float64 and rank 2 .*got dtype {dtype} and rank "
        f"{ndim}.\nHint: make a new variable",
    ):
        x.set_gen(counting((2,) * ndim, dtype))
    with pytest.raises(TypeError, match="`gen` must be an iterator, got list"):
        x.set_gen([np.ones((2, 2))])
    np.testing.assert_array_equal(x.eval(), np.ones((2, 3)))


def test_generator_takes_an_adapter_as_it_is():
    adapter = by.GeneratorAdapter(counting())
    x = by.generator(adapter)
    assert x.owner.op.adapter is adapter
    assert GeneratorOp(adapter)().owner.op.adapter is adapter
    other = by.GeneratorAdapter(counting())
    x.set_gen(other)
    assert x.owner.op.adapter is other


def test_graph_replacement_with_another_number_of_rows():
    x = by.generator(counting((2, 3)))
    total = (x**2).sum(axis=0) * x.shape[0]
    data = pytensor.shared(np.ones((10, 1)), shape=(None, None))
    np.testing.assert_array_equal(clone_replace(total, {x: data}).eval(), [100])
    static = pytensor.shared(np.ones((5, 3)), shape=(5, 3))
    np.testing.assert_array_equal(clone_replace(total, {x: static}).eval(), [25, 25, 25])


def test_clone_has_no_owner_and_keeps_tags_and_iterator():
    x = by.generator(counting((), stop=1))
    x.tag.note = "kept"
    clone = x.clone()
    assert (type(clone), clone.type, clone.name) == (type(x), x.type, x.name)
    assert clone.owner is None
    assert clone.tag.note == "kept"
    clone.set_default(9)
    assert [float(x.eval()) for _ in range(2)] == [0, 9]
    assert copy.copy(x).type == x.type


def test_variable_pickles_with_its_position():
    x = by.generator(Counter(3))
    doubled = 2 * x
    x.eval()
    copied = pickle.loads(pickle.dumps(doubled))
    assert [copied.eval()[0] for _ in range(2)] == [4, 6]
    assert [doubled.eval()[0] for _ in range(2)] == [4, 6]


def test_a_python_generator_fails_to_pickle_with_its_own_error():
    with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
        pickle.dumps(by.generator(counting()))


def test_gradient_of_what_an_item_enters():
    w = pt.vector("w")
    x = by.generator(counting((2, 3)))
    gradient = pytensor.function([w], pt.grad((x @ w).sum(), w))
    for number in range(3):
        np.testing.assert_array_equal(gradient(np.ones(3)), np.full(3, 2.0 * number))


# In a model


@pytest.mark.parametrize(
    ("total_size", "factor"),
    [(100, 25), ((100, 30), 250), ((None, 30), 10), ((100, None), 25), ((Ellipsis, 30), 10)],
)
def test_observed_with_total_size_scales_the_density(total_size, factor):
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, observed=by.generator(counting((4, 3))), total_size=total_size)
    value = model.rvs_to_values[mu]
    density = model.logp()
    evaluate = pytensor.function([value], [density, pt.grad(density, value)])
    for number in range(3):
        item = np.full((4, 3), float(number))
        logp, gradient = evaluate(0.5)
        expected = stats.norm.logpdf(0.5) + factor * stats.norm.logpdf(item, 0.5).sum()
        np.testing.assert_allclose(logp, expected)
        np.testing.assert_allclose(gradient, -0.5 + factor * 12 * (number - 0.5))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "bool", "float32"])
def test_observed_takes_every_dtype(dtype):
    with pm.Model() as model:
        pm.Poisson("y", 2.0, observed=by.generator(counting((4,), dtype, stop=2)), total_size=8)
    evaluate = pytensor.function([], model.logp())
    for number in range(2):
        np.testing.assert_allclose(evaluate(), 8 * stats.poisson.logpmf(number, 2))


def test_reading_the_observed_data_takes_no_item():
    with pm.Model() as model:
        y = pm.Normal("y", observed=by.generator(counting((4,), stop=2)), total_size=8)
    evaluate = pytensor.function([], model.logp())
    for number in range(2):
        np.testing.assert_array_equal(extract_obs_data(model.rvs_to_values[y]), np.zeros(4))
        np.testing.assert_allclose(evaluate(), 8 * stats.norm.logpdf(number))
    np.testing.assert_array_equal(extract_obs_data(model.rvs_to_values[y]), np.zeros(4))


def test_observed_without_total_size_warns():
    with pm.Model(), pytest.warns(UserWarning, match="total_size not provided"):
        pm.Normal("y", observed=by.generator(counting()))
