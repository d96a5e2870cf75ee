"""Processes that compute one program together, joined by JAX's own distributed runtime.

A mean over them costs a message to each of the others: on CPUs by Gloo, over TCP.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

if TYPE_CHECKING:
    from collections.abc import Callable

AXIS = "workers"
ALIKE, OWN = PartitionSpec(), PartitionSpec(AXIS)


@dataclass(frozen=True)
class Team:
    """Number ``index`` of ``size`` processes that compute together; made by :func:`join`."""

    index: int
    size: int

    def mean(self, values: Any) -> Any:
        """Return the mean over the processes of a pytree of arrays, within :meth:`together`.

        It is one message, and has the same bits in all of the processes.
        """
        flat, unravel = ravel_pytree(values)
        return unravel(jax.lax.pmean(flat, AXIS))

    def together(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile a function that all of the processes call at once.

        Parameters
        ----------
        function : callable
            Takes and returns pytrees of arrays. The first argument is each process's own, of the
            same shapes in all of them; the other ones and what it returns are to be alike.

        Returns
        -------
        callable
            Takes and returns arrays of this process.
        """

        def part(own: Any, others: tuple[Any, ...]) -> Any:
            return function(jax.tree.map(lambda value: value[0], own), *others)

        # Means are taken where `function` says, and nowhere else.
        mapped = jax.shard_map(
            part, mesh=self._mesh, in_specs=(OWN, ALIKE), out_specs=ALIKE, check_vma=False
        )
        compiled = jax.jit(mapped)

        def call(own: Any, *others: Any) -> Any:
            ended = compiled(jax.tree.map(self._of_each, own), jax.tree.map(self._of_all, others))
            return jax.tree.map(lambda value: value.addressable_data(0), ended)

        return call

    @cached_property
    def _mesh(self) -> Mesh:
        """The first device of each process."""
        devices = [jax.local_devices(process_index=index)[0] for index in range(self.size)]
        return Mesh(np.array(devices), (AXIS,))

    def _of_each(self, value: Any) -> jax.Array:
        # A view, which XLA reads where it lies.
        local = jax.device_put(np.asarray(value)[None], self._device)
        shape = (self.size, *local.shape[1:])
        sharding = NamedSharding(self._mesh, OWN)
        return jax.make_array_from_single_device_arrays(shape, sharding, [local])

    def _of_all(self, value: Any) -> jax.Array:
        local = jax.device_put(value, self._device)
        sharding = NamedSharding(self._mesh, ALIKE)
        return jax.make_array_from_single_device_arrays(local.shape, sharding, [local])

    @property
    def _device(self) -> Any:
        return jax.local_devices()[0]


def join(address: str, index: int, size: int) -> Team:
    """Join this process with the others, to compute on CPUs; returns when all of them have.

    Parameters
    ----------
    address : str
        "host:port" of the process number 0, which listens there.
    index : int
        The number of this process.
    size : int
        How many they are.

    Raises
    ------
    RuntimeError
        If this process has computed with JAX before, or the others do not come.
    """
    # Workers of one machine would each take all of an accelerator that it has.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, size, index)
    return Team(index, size)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
    return port
