"""Processes that run one compiled function together, over JAX's distributed runtime.

Each process computes on its own part of a batch, and they exchange the mean of their gradients, so
that all of them take the same step. A mean costs one message between processes: on CPUs by Gloo,
over TCP.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.typing import ArrayLike

# The axis of the mesh, one device a process.
AXIS = "workers"
# Values that are the same in all processes, and values that each process has its own of.
REPLICATED, SHARDED = PartitionSpec(), PartitionSpec(AXIS)


@dataclass(frozen=True)
class Team:
    """The processes that compute together, as one of them sees them; made by :func:`join_team`.

    Attributes
    ----------
    index : int
        The number of this process, counted from 0.
    size : int
        The number of processes.
    """

    index: int
    size: int

    def mean[Tree](self, values: Tree) -> Tree:
        """Return the mean over the processes of a pytree of arrays, within :meth:`compile`.

        It has the same bits in all processes, so that they stay in step without comparing.
        """
        # One array, since each mean is a message.
        flat, unravel = ravel_pytree(values)
        means: Tree = unravel(jax.lax.pmean(flat, AXIS))
        return means

    def compile[Result](self, function: Callable[..., Result]) -> Callable[..., Result]:
        """Compile a function that all processes call at the same time.

        Parameters
        ----------
        function : callable
            Takes and returns pytrees of arrays. Each process has its own first argument, of the
            same shapes in all; the other arguments and the result must be the same in all.

        Returns
        -------
        callable
            Takes and returns arrays of this process.
        """

        def part(own: object, replicated: tuple[object, ...]) -> Result:
            # A part has the axis of the mesh, of length 1.
            return function(jax.tree.map(lambda value: value[0], own), *replicated)

        # Without `check_vma`, JAX adds no communication: the only messages are the means that the
        # function takes.
        mapped = jax.shard_map(
            part,
            mesh=self._mesh,
            in_specs=(SHARDED, REPLICATED),
            out_specs=REPLICATED,
            check_vma=False,
        )
        compiled = jax.jit(mapped)

        def call(own: object, *replicated: object) -> Result:
            result = compiled(
                jax.tree.map(self._shard, own), jax.tree.map(self._replicate, replicated)
            )
            local: Result = jax.tree.map(lambda value: value.addressable_data(0), result)
            return local

        return call

    @cached_property
    def _mesh(self) -> Mesh:
        """The first device of each process."""
        devices = [jax.local_devices(process_index=index)[0] for index in range(self.size)]
        return Mesh(np.array(devices), (AXIS,))

    def _shard(self, value: ArrayLike) -> jax.Array:
        # A view, which XLA reads without a copy if it is aligned.
        local = jax.device_put(np.asarray(value)[None], self._device)
        shape = (self.size, *local.shape[1:])
        sharding = NamedSharding(self._mesh, SHARDED)
        return jax.make_array_from_single_device_arrays(shape, sharding, [local])

    def _replicate(self, value: ArrayLike) -> jax.Array:
        local = jax.device_put(value, self._device)
        sharding = NamedSharding(self._mesh, REPLICATED)
        return jax.make_array_from_single_device_arrays(local.shape, sharding, [local])

    @property
    def _device(self) -> jax.Device:
        return jax.local_devices()[0]


def join_team(address: str, index: int, size: int) -> Team:
    """Join this process with the others, to compute on CPUs; returns when all have joined.

    Parameters
    ----------
    address : str
        "host:port" of process 0, which listens there.
    index : int
        The number of this process, counted from 0.
    size : int
        The number of processes.

    Returns
    -------
    Team

    Raises
    ------
    RuntimeError
        If this process has computed with JAX before, or the others do not join.
    """
    # JAX reserves three quarters of an accelerator's memory for each process.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, size, index)
    return Team(index, size)


def free_port() -> int:
    """Return a port of this machine on which nothing listens, as far as one can know."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
    return port
