"""Minibatch: its slices, order, storage, and its place in PyMC models and PyTensor graphs."""

import copy
import pickle
from functools import partial
from typing import Any

import cloudpickle
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymc.model.transform.basic import remove_minibatched_nodes
from pytensor.graph.replace import clone_replace
from scipy import stats

import bayou as by
from bayou.containers.variables.random_rows import UniformRows

MODES = ["FAST_COMPILE", "NUMBA", "JAX"]
# The first batch of 5 of 1,000 rows, as version 0.1.0 draws it.
ROWS_OF_42 = [363, 322, 644, 295, 890]
ROWS_OF_7 = [17, 940, 744, 136, 254]


@st.composite
def batches(draw: Any) -> tuple[tuple[int, ...], list[Any], tuple[int, ...]]:
    """Data shapes with a batch_size for them and the shape of a batch."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    sizes = [draw(st.one_of(st.none(), st.integers(1, 7))) for _ in shape]
    batch = tuple(size or length for size, length in zip(sizes, shape, strict=True))
    entries = [
        size if size is None or draw(st.booleans()) else (size, draw(st.integers(0, 9)))
        for size in sizes
    ]
    start = draw(st.integers(0, len(shape)))
    stop = start
    while stop < len(shape) and sizes[stop] is None:
        stop += 1
    if draw(st.booleans()):
        entries = [*entries[:start], ..., *entries[stop:]]
    return tuple(shape), entries, batch


@settings(max_examples=40)
@given(batches())
def test_shape_and_content_of_a_slice(case: Any) -> None:
    shape, batch_size, expected = case
    data = np.arange(np.prod(shape)).reshape(shape)
    batch = by.Minibatch(data, batch_size).eval()
    assert batch.shape == expected
    # Every element keeps its place relative to the others: rows, columns and so on are whole.
    places = np.unravel_index(batch, shape)
    for axis, place in enumerate(places):
        others = tuple(other for other in range(len(shape)) if other != axis)
        assert (place == place.min(axis=others, keepdims=True)).all()


@pytest.mark.parametrize("mode", MODES)
def test_every_backend_draws_the_same_rows(mode: str) -> None:
    x = by.Minibatch(np.arange(60).reshape(20, 3), [5, (2, 7)])
    draw = pytensor.function([], x * 1, mode=mode)
    found = [np.asarray(draw()), np.asarray(draw())]
    by.align_minibatches([x])
    np.testing.assert_array_equal(found, [x.eval(), x.eval()])
    assert (found[0] != found[1]).any()


def test_rows_are_uniform() -> None:
    x = by.Minibatch(np.arange(50), 100)
    rows = np.concatenate([x.eval() for _ in range(200)])
    assert stats.chisquare(np.bincount(rows, minlength=50)).pvalue > 0.01


def test_axes_of_one_seed_are_independent() -> None:
    x = by.Minibatch(np.arange(100).reshape(10, 10), [1, 1])
    places = np.concatenate([x.eval() for _ in range(3000)]).ravel()
    assert stats.chisquare(np.bincount(places, minlength=100)).pvalue > 0.01


def test_one_variable_used_twice_is_one_batch() -> None:
    x = by.Minibatch(np.arange(1000), 10)
    assert (pytensor.function([], x - 1 * x)() == 0).all()


def test_same_seed_draws_the_same_rows_together() -> None:
    data = np.arange(1000)
    x, y, other = by.Minibatch(data, 5), by.Minibatch(data, 5), by.Minibatch(data, 5, random_seed=1)
    a, b, c = pytensor.function([], [x, y, other])()
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_seeds_are_those_that_pymc_takes() -> None:
    data = np.arange(1000)

    def rows(seed: Any) -> list[int]:
        return by.Minibatch(data, 5, random_seed=seed).eval().tolist()  # type: ignore[no-any-return]

    assert rows(42) == rows(np.int64(42)) == by.Minibatch(data, 5).eval().tolist()
    assert rows([1, 2]) == rows(np.array([1, 2])) != rows([2, 1])
    assert rows(np.random.default_rng(1)) == rows(np.random.default_rng(1))
    assert rows(np.random.RandomState(1)) == rows(np.random.RandomState(1))
    generator = np.random.default_rng(1)
    assert rows(generator) != rows(generator)
    assert rows(None) != rows(None)


def test_rows_of_a_seed_are_the_same_in_all_versions() -> None:
    assert by.Minibatch(np.arange(1000), 5).eval().tolist() == ROWS_OF_42
    assert by.Minibatch(np.arange(1000), [(5, 7)]).eval().tolist() == ROWS_OF_7


def test_align_minibatches() -> None:
    x, y = by.Minibatch(np.arange(1000), 5), by.Minibatch(np.arange(1000), 5)
    both = pytensor.function([], [x, y])
    first, _ = both()
    y.eval()
    a, b = both()
    assert (a != b).any()
    by.align_minibatches([x, y])
    a, b = both()
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, first)
    y.eval()
    by.align_minibatches()
    a, b = both()
    np.testing.assert_array_equal(a, b)


def test_align_minibatches_refuses_others_before_it_aligns() -> None:
    x = by.Minibatch(np.arange(1000), 5)
    x.eval()
    with pytest.raises(TypeError, match=r"`batches` must hold Minibatch variables, got 3.\nHint"):
        by.align_minibatches([x, 3])  # type: ignore[list-item]
    assert x.step.get_value() == 1


def test_dtypes() -> None:
    floats = np.random.default_rng(0).random((9, 2))
    assert by.Minibatch(floats.astype("float32"), 2).dtype == pytensor.config.floatX
    assert by.Minibatch([1.0, 2.0], 2).dtype == pytensor.config.floatX
    for dtype in ("int8", "uint16", "int64", "bool"):
        assert by.Minibatch(np.ones(9, dtype), 2).dtype == dtype
    x = by.Minibatch(floats * 100, batch_size=[5, 2], dtype="int32")
    assert str(x.dtype) == "int32"
    assert x.eval().dtype == np.int32


def test_static_shape_is_unknown_unless_broadcastable() -> None:
    data = np.ones((9, 2))
    assert by.Minibatch(data, 3).type.shape == (None, None)
    row = by.Minibatch(data, 1, broadcastable=(True, False))
    assert row.type.shape == (1, None)
    assert (row + np.ones((4, 2))).eval().shape == (4, 2)


def test_storage_is_changed_by_set_value_shared_and_update_shared() -> None:
    x = by.Minibatch(np.zeros((10, 3)), 4, update_shared_f=partial(np.full, (5, 3), 2.0))
    x.set_value(np.ones((20, 3)))
    assert (x.eval() == 1).all()
    assert x.shared.get_value().shape == (20, 3)
    x.shared.set_value(np.full((7, 3), 3.0))
    assert (x.eval() == 3).all()
    x.update_shared()
    assert (x.eval() == 2).all()


def test_update_shared_needs_a_function() -> None:
    with pytest.raises(NotImplementedError, match=r"'Minibatch' has no `update_shared_f`.\nHint"):
        by.Minibatch(np.zeros(3), 2).update_shared()


def test_set_value_refuses_before_it_changes() -> None:
    x = by.Minibatch(np.arange(3), 2)
    with pytest.raises(ValueError, match=r"`value` must have 1 axes .* got shape \(1, 2\).\nHint"):
        x.set_value([[1, 2]])
    with pytest.raises(ValueError, match=r"got 1.5 \(float64\) in row 0"):
        x.set_value([1.5])
    with pytest.raises(ValueError, match=r"at least one row"):
        x.set_value(np.zeros(0, dtype=int))
    np.testing.assert_array_equal(x.shared.get_value(), [0, 1, 2])


def test_in_memory_size_keeps_a_part() -> None:
    data = np.arange(60).reshape(10, 6)
    assert by.Minibatch(data, 2, in_memory_size=4).shared.get_value().shape == (4, 6)
    x = by.Minibatch(data, [2, 2], in_memory_size=[slice(2, 5), ..., 3])
    np.testing.assert_array_equal(x.shared.get_value(), data[2:5, :3])
    assert x.eval().shape == (2, 2)


def test_clone_has_no_owner_and_keeps_name_and_tags() -> None:
    x = by.Minibatch(np.zeros(3), 2, name="x")
    x.tag.note = "kept"
    cloned = x.clone()
    assert cloned.owner is None
    assert (cloned.type, cloned.name, cloned.tag.note) == (x.type, "x", "kept")
    assert x.clone(name="y").name == "y"


def test_graphs_take_other_data_in_its_place() -> None:
    x = by.Minibatch(np.random.default_rng(0).random((100, 10)), 5)
    node = x**2
    test = np.random.default_rng(1).laplace(size=(1000, 10))
    on_test = clone_replace(node, {x: pt.as_tensor(test)})
    np.testing.assert_array_equal(on_test.eval(), test**2)
    on_all = clone_replace(node, {x.minibatch: x.shared})
    np.testing.assert_array_equal(on_all.eval(), x.shared.get_value() ** 2)
    assert node.eval().shape == (5, 10)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: cloudpickle.loads(cloudpickle.dumps(x))]
)
def test_copies_have_a_life_of_their_own(copied: Any) -> None:
    x = by.Minibatch(np.arange(100), 5)
    x.eval()
    twin = copied(x)
    np.testing.assert_array_equal(twin.eval(), x.eval())
    twin.set_value(np.zeros(3, dtype=int))
    assert x.shared.get_value().shape == (100,)
    by.align_minibatches()
    assert twin.step.get_value() == 0


def test_pickles_with_its_operation() -> None:
    x = by.Minibatch(np.arange(100), [5])
    assert pickle.loads(pickle.dumps(x.owner.op)).samples == x.owner.op.samples


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool", "float32", "float64"])
def test_observed_of_any_dtype_is_scaled(dtype: str) -> None:
    data = np.arange(100).astype(dtype)
    x = by.Minibatch(data, 10, dtype=dtype)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("x", mu, 1, observed=x, total_size=100)
    likelihood = model.compile_fn(model.logp(vars=[model["x"]]), inputs=model.value_vars)
    found = likelihood({"mu": 0.5})
    by.align_minibatches([x])
    rows = x.eval().astype(float)
    assert found == pytest.approx(stats.norm.logpdf(rows, 0.5, 1).sum() * 10)


@pytest.mark.parametrize(
    ("batch_size", "total_size", "factor"),
    [
        ([2, 5], (20, 30), 10 * 6),
        ([2, None], (20, None), 10),
        ([None, 5], (None, 30), 6),
        ([2, 5], (20, ...), 10),
        ([2, 5], (..., 30), 6),
        ([2, 5], 20, 10),
    ],
)
def test_total_size_scales_each_axis(batch_size: Any, total_size: Any, factor: float) -> None:
    x = by.Minibatch(np.ones((20, 30)), batch_size)
    with pm.Model() as model:
        mu = pm.Flat("mu")
        pm.Normal("x", mu, 1, observed=x, total_size=total_size)
    rows = int(np.prod([size or full for size, full in zip(batch_size, (20, 30), strict=True)]))
    expected = stats.norm.logpdf(1, 0, 1) * rows * factor
    assert model.compile_logp()({"mu": 0.0}) == pytest.approx(expected)


def test_pymc_fits_it_and_sees_through_it() -> None:
    data = np.random.default_rng(0).poisson(3, size=500).astype("int8")
    with pm.Model() as model:
        rate = pm.Normal("rate")
        pm.Poisson("x", pt.exp(rate), observed=by.Minibatch(data, 50), total_size=500)
        approximation = pm.fit(300, progressbar=False, random_seed=1)
    assert np.isfinite(approximation.hist).all()
    full = remove_minibatched_nodes(model)
    on_all = full.compile_logp()({"rate": 1.0})
    assert on_all == pytest.approx(stats.norm.logpdf(1.0) + stats.poisson.logpmf(data, np.e).sum())
    from pymc.pytensorf import extract_obs_data

    np.testing.assert_array_equal(extract_obs_data(model.rvs_to_values[model["x"]]), data)


def test_the_internals_of_pytensor_that_it_rests_on() -> None:
    x = by.Minibatch(np.arange(10), 3)
    assert isinstance(x.owner.op, pm.data.MinibatchOp)
    # A function moves a shared variable on by its `default_update`, without being told.
    assert x.step.default_update.owner.inputs[0] is x.step
    pytensor.function([], x)()
    assert x.step.get_value() == 1
    assert UniformRows(5, 3) == UniformRows(5, 3) != UniformRows(6, 3)
