"""The graph of a random slice: row numbers as an operation of PyTensor, and the slice they select.

This is the only file that builds on how PyTensor and PyMC treat a minibatch. The rows are a
deterministic function of a step that each evaluation advances, and no random variable: PyMC accepts
such a slice, and a cast of it, as observed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytensor.tensor as pt
from pymc.data import MinibatchOp
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.tensor.sharedvar import TensorSharedVariable

from bayou.sampling import uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import jax
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.graph.op import OutputStorageType
    from pytensor.tensor.variable import TensorVariable

    from bayou.sampling.axes import AxisSample


class StepVariable(TensorSharedVariable):
    """A shared counter that every call of a compiled function advances by one."""

    @property
    def default_update(self) -> TensorVariable:
        """The next step; PyTensor adds this update to every function that uses the variable."""
        return self + np.int64(1)


def step_variable(name: str) -> StepVariable:
    """Return a step counter that starts at 0."""
    return StepVariable(
        type=pt.TensorType("int64", shape=()), value=np.array(0), strict=False, name=name
    )


class UniformRows(Op):
    """Row numbers of a step: inputs are the step and the length of the axis, both scalars.

    The output is int64 of shape (size,).
    """

    __props__ = ("key", "size")

    def __init__(self, key: int, size: int) -> None:
        self.key = key
        self.size = size

    def make_node(self, step: Variable, length: Variable) -> Apply[UniformRows]:
        """Apply the operation to a scalar step and a scalar length."""
        inputs = [pt.as_tensor(step, dtype="int64"), pt.as_tensor(length, dtype="int64")]
        # No static shape, though the size is known: data of any length may replace a minibatch.
        return Apply(self, inputs, [pt.TensorType("int64", shape=(None,))()])

    def perform(
        self, node: Apply, inputs: Sequence[NDArray[np.integer]], output_storage: OutputStorageType
    ) -> None:
        """Evaluate the operation with NumPy."""
        step, length = inputs
        output_storage[0][0] = uniform.uniform_rows(
            self.key, np.uint64(step), np.uint64(length), self.size
        )

    def infer_shape(self, *unused: object) -> list[tuple[Variable, ...]]:
        """Return the shape of the row numbers. PyTensor 3.3 passes one argument less than 3.1."""
        return [(pt.constant(self.size, dtype="int64"),)]


@jax_funcify.register(UniformRows)
def _jax_uniform_rows(
    op: UniformRows, **kwargs: object
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    import jax.numpy as jnp

    def rows_of_step(step: jax.Array, length: jax.Array) -> Any:
        num_rows = jnp.asarray(length).astype(jnp.uint64)
        return uniform.uniform_rows(
            np.uint64(op.key), jnp.asarray(step).astype(jnp.uint64), num_rows, op.size, jnp
        )

    return rows_of_step


class NumRows(Op):
    """The length of an axis of data: an operation of its own, which bayou finds in a graph.

    A fit replaces it by the number of rows of the source, without the data in memory.
    """

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def make_node(self, storage: Variable) -> Apply[NumRows]:
        """Apply the operation to the data."""
        return Apply(self, [storage], [pt.TensorType("int64", shape=())()])

    def perform(
        self, node: Apply, inputs: Sequence[NDArray[np.integer]], output_storage: OutputStorageType
    ) -> None:
        """Evaluate the operation with NumPy."""
        output_storage[0][0] = np.array(inputs[0].shape[self.axis])

    def infer_shape(self, *unused: object) -> list[tuple[Variable, ...]]:
        """Return the shape of a scalar."""
        return [()]


@jax_funcify.register(NumRows)
def _jax_num_rows(op: NumRows, **kwargs: object) -> Callable[[jax.Array], jax.Array]:
    import jax.numpy as jnp

    return lambda storage: jnp.array(storage.shape[op.axis])


class SliceOp(MinibatchOp):
    """A random slice, opaque to PyMC: inputs are the storage and the step, output is the slice."""

    samples: tuple[AxisSample, ...]

    def infer_shape(self, *unused: object) -> NoReturn:
        """Raise, or PyMC would write the length of this batch into the shapes of variables."""
        raise NotImplementedError


def random_slice(
    storage: TensorVariable,
    step: StepVariable,
    samples: Sequence[AxisSample],
    broadcastable: Sequence[bool],
) -> TensorVariable:
    """Return the slice of ``storage`` at ``step``, as the output of one opaque operation.

    Parameters
    ----------
    storage : TensorVariable
        The data.
    step : StepVariable
        The counter of evaluations.
    samples : sequence of AxisSample
        The axes to draw from, with their sizes and seeds.
    broadcastable : sequence of bool
        True for axes of the slice that have length 1 and may broadcast.
    """
    inner_storage, inner_step = storage.type(), step.type()
    batch: TensorVariable = inner_storage
    # Axis by axis: the drawn rows have the same drawn columns, so that predictors stay together.
    for sample in samples:
        rows = UniformRows(int(sample.key()), sample.size)(
            inner_step, inner_storage.shape[sample.axis]
        )
        batch = batch[(slice(None),) * sample.axis + (rows,)]
    ones = [axis for axis, one in enumerate(broadcastable) if one]
    if ones:
        batch = pt.specify_broadcastable(batch, *ones)
    # One operation around the graph, so that PyMC finds no random graph under observed data.
    op = SliceOp([inner_storage, inner_step], [batch])
    op.samples = tuple(samples)
    return op(storage, step)
