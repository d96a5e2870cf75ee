"""The internals of PyMC, PyTensor, JAX and nutpie that are used: a change fails here, by name.

What they do is held by the tests of the files that use them.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytensor
import pytest

# Name -> the parameters that bayou passes by position or by name, in their order.
FUNCTIONS = {
    "pymc.backends.arviz.find_constants": "model",
    "pymc.initial_point.make_initial_point_expression": (
        "free_rvs rvs_to_transforms initval_strategies jitter_rvs default_strategy "
        "return_transformed"
    ),
    "pymc.pytensorf.extract_obs_data": "x",
    "pymc.pytensorf.find_rng_nodes": "variables",
    "pymc.pytensorf.replace_rng_nodes": "outputs",
    "pymc.pytensorf.reseed_rngs": "rngs seed",
    "pymc.variational.minibatch_rv.create_minibatch_rv": "rv total_size",
    "pymc.variational.minibatch_rv.get_scaling": "total_size shape",
    "pytensor.compile.rewriting.inline_ofg_node": "node",
    "pytensor.graph.basic.equal_computations": "xs ys in_xs in_ys",
    "pytensor.graph.replace.clone_replace": "output replace rebuild_kwds",
    "pytensor.graph.rewriting.utils.rewrite_graph": "graph include",
    "pytensor.graph.traversal.ancestors": "graphs",
    "pytensor.graph.traversal.applys_between": "ins outs",
    "pytensor.graph.traversal.graph_inputs": "graphs",
    "pytensor.graph.traversal.toposort": "graphs",
    "pytensor.graph.traversal.walk": "nodes expand bfs",
    "pytensor.graph.traversal.walk_toposort": "graphs deps",
    "pytensor.xtensor.as_xtensor": "x dims name",
    "pytensor.xtensor.basic.tensor_from_xtensor.make_node": "x",
    "pytensor.xtensor.basic.xtensor_from_tensor": "x dims",
    "pytensor.xtensor.random.type.rng_to_xrng.make_node": "rng",
}
# Functions that dispatch on the type of their first argument.
DISPATCHERS = (
    "pymc.distributions.distribution._support_point",
    "pymc.distributions.shape_utils._change_dist_size",
    "pymc.logprob.abstract._logcdf",
    "pymc.logprob.abstract._logprob",
    "pytensor.link.jax.dispatch.jax_funcify",
    "pytensor.link.numba.dispatch.basic.numba_funcify",
)
TYPES = (
    "pymc.data.MinibatchOp",
    "pymc.distributions.custom.CustomDistRV",
    "pymc.distributions.custom.CustomSymbolicDistRV",
    "pymc.distributions.distribution.SymbolicRandomVariable",
    "pymc.variational.minibatch_rv.MinibatchRandomVariable",
    "pytensor.compile.builders.OpFromGraph",
    "pytensor.compile.ops.ViewOp",
    "pytensor.graph.rewriting.basic.GraphRewriter",
    "pytensor.tensor.basic.Alloc",
    "pytensor.tensor.basic.Join",
    "pytensor.tensor.blas.BatchedDot",
    "pytensor.tensor.blockwise.Blockwise",
    "pytensor.tensor.elemwise.CAReduce",
    "pytensor.tensor.elemwise.Elemwise",
    "pytensor.tensor.extra_ops.CumOp",
    "pytensor.tensor.linalg.decomposition.cholesky.Cholesky",
    "pytensor.tensor.linalg.solvers.triangular.SolveTriangular",
    "pytensor.tensor.math.Dot",
    "pytensor.tensor.random.op.RandomVariable",
    "pytensor.tensor.random.type.RandomType",
    "pytensor.tensor.shape.Reshape",
    "pytensor.tensor.shape.Shape",
    "pytensor.tensor.shape.Shape_i",
    "pytensor.tensor.shape.SpecifyShape",
    "pytensor.tensor.signal.conv.Convolve1d",
    "pytensor.tensor.sort.ArgSortOp",
    "pytensor.tensor.sort.SortOp",
    "pytensor.tensor.special.LogSoftmax",
    "pytensor.tensor.special.Softmax",
    "pytensor.tensor.subtensor.AdvancedSubtensor",
    "pytensor.tensor.subtensor.Subtensor",
    "pytensor.tensor.type_other.NoneTypeT",
    "pytensor.xtensor.basic.XOp",
    "pytensor.xtensor.basic.XTypeCastOp",
    "pytensor.xtensor.random.type.XRandomGeneratorType",
    "pytensor.xtensor.type.XTensorType",
)


def look_up(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if attribute == "make_node":
        return getattr(look_up(module), attribute)
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_same_parameters(name: str) -> None:
    expected = FUNCTIONS[name].split()
    found = list(inspect.signature(look_up(name)).parameters)
    assert found[: len(expected)] == expected


@pytest.mark.parametrize("name", DISPATCHERS)
def test_dispatchers_have_a_registry(name: str) -> None:
    function = look_up(name)
    assert callable(function.register)
    assert object in function.registry


@pytest.mark.parametrize("name", TYPES)
def test_types_are_classes(name: str) -> None:
    assert inspect.isclass(look_up(name))


def test_operations_of_graphs_are_copied_with_other_graphs() -> None:
    rate = pm.ZeroInflatedPoisson.dist(0.5, np.ones(3), shape=3)
    op = rate.owner.op
    assert isinstance(op, look_up("pytensor.compile.builders.OpFromGraph"))
    op.infer_shape(rate.owner, [(3,) for _ in rate.owner.inputs])
    copied = op.clone_with_inner_graph(op.fgraph.unfreeze())
    # PyTensor 3.3 copies these along; rewrite.py drops them.
    assert {"_inner_shape_template", "_inner_shape_frozen"} <= vars(copied).keys()


def test_numba_dispatch_has_what_operations_are_registered_by() -> None:
    numba = importlib.import_module("pytensor.link.numba.dispatch.basic")
    for name in ("get_numba_type", "numba_njit", "register_funcify_default_op_cache_key"):
        assert callable(getattr(numba, name))


def test_jax_has_what_generators_are_defined_by_and_counts_compilations() -> None:
    define = inspect.signature(look_up("jax.extend.random.define_prng_impl"))
    parameters = {"key_shape", "seed", "split", "random_bits", "fold_in", "name", "tag"}
    assert parameters <= define.parameters.keys()
    function = jax.jit(lambda x: x + 1)
    function(1.0)
    assert function._cache_size() == 1


def test_nutpie_has_the_fields_of_a_compiled_model() -> None:
    fields = look_up("nutpie.compile_pymc.CompiledPyMCModel").__dataclass_fields__
    assert {"compiled_logp_func", "compiled_expand_func", "initial_point_func", "user_data"} <= {
        *fields
    }


def test_a_model_has_its_lists_and_maps() -> None:
    with pm.Model(coords={"row": range(3)}) as model:
        scale = pm.HalfNormal("scale", initval=2.0)
        y = pm.Normal("y", 0, scale, observed=np.ones(3), dims="row")
    [value] = model.value_vars
    assert model.free_RVs == [scale]
    assert model.observed_RVs == [y]
    assert (model.potentials, model.deterministics) == ([], [])
    assert model.rvs_to_values[scale] is value
    assert model.values_to_rvs[value] is scale
    assert model.rvs_to_transforms[scale].name == "log"
    assert model.rvs_to_initial_values[scale] == 2.0
    assert model.named_vars_to_dims["y"] == ("row",)
    assert int(model.dim_lengths["row"].eval()) == 3
    # The very dictionaries that the model keeps, which data are written into.
    assert model.coords is model.coords
    assert model.dim_lengths is model.dim_lengths
    assert model.root is model
    assert (model.coords, model.dim_lengths) == (model._coords, model._dim_lengths)
    assert (model.prefix, model.name_of("y")) == ("", "y")


def test_a_distribution_has_its_printed_name_and_support() -> None:
    operation = pm.MvNormal.dist(np.zeros(2), np.eye(2)).owner.op
    assert operation._print_name[0] == "MultivariateNormal"
    assert operation.ndim_supp == 1


def test_a_total_size_is_an_operation_on_the_variable() -> None:
    with pm.Model():
        y = pm.Normal("y", 0, 1, observed=np.ones((3, 2)), total_size=(9, None))
    inner, *sizes = y.owner.inputs
    assert inner.owner.op.name == "normal"
    assert int(sizes[0].eval()) == 9
    assert len(sizes) == 2


def test_clones_of_a_shared_variable_have_its_container() -> None:
    shared = pytensor.shared(np.ones(3))
    clone = shared.clone()
    assert clone is not shared
    assert clone.container is shared.container
    assert shared.container.storage[0] is shared.get_value(borrow=True)


def test_a_shared_variable_can_be_made_of_the_container_of_another() -> None:
    shared = pytensor.shared(np.ones(3))
    other = type(shared)(
        type=shared.type, value=None, strict=None, container=shared.container, name="other"
    )
    other.set_value(np.zeros(2))
    np.testing.assert_array_equal(shared.get_value(), [0, 0])


def test_named_dims_have_rewrites_of_their_own() -> None:
    importlib.import_module("pytensor.xtensor")
    rewriter = look_up("pytensor.compile.optdb").query("+lower_xtensor")
    assert callable(rewriter.rewrite)


def test_a_transpose_and_its_order_are_seen() -> None:
    matrix = pytensor.shared(np.ones((2, 3)))
    operation = matrix.transpose(1, 0).owner.op
    assert (operation.is_transpose, tuple(operation.new_order)) == (True, (1, 0))
    assert not matrix.dimshuffle("x", 0, 1).owner.op.is_transpose


def test_the_mode_of_jax_can_leave_the_checks_of_parameters_out() -> None:
    mode = look_up("pytensor.compile.mode.JAX")
    assert callable(mode.including("local_remove_check_parameter").optimizer.rewrite)
