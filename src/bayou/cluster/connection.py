"""The connection of this process to a Ray cluster; the one file that imports Ray."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from bayou.cluster.ray import Ray

# An address that does not answer within these seconds is refused. A machine answers in
# milliseconds; the rest is for name servers and busy networks.
REACH_SECONDS = 10


@contextmanager
def connect(cluster: Ray) -> Iterator[ModuleType]:
    """Connect this process to a cluster, and yield the module `ray`.

    A connection that was there before is used, and stays; one that is made here ends with the
    ``with`` block.

    Parameters
    ----------
    cluster : Ray
        The cluster.

    Raises
    ------
    ConnectionError
        If no cluster answers at the address.
    ImportError
        If Ray is not installed.
    ValueError
        If this process is connected to another cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            '`cluster` needs Ray, which is not installed.\nHint: pip install "bayou[ray]".'
        ) from error
    if ray.is_initialized():
        _check_same_cluster(cluster.address, ray.get_runtime_context().gcs_address)
        yield ray
        return
    # Ray hides the accelerators from workers that reserve none, and warns that it will stop doing
    # so. Workers compute on CPUs by their settings of JAX, so that nothing needs to be hidden.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    try:
        _check_reachable(address)
        with warnings.catch_warnings():
            # JAX warns that a fork copies its threads' locks. Ray executes a new program in the
            # forked process at once, which has no use for them.
            warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        if address in (None, "local"):
            raise
        raise ConnectionError(
            f"`cluster` must be the address of a running Ray cluster, got {address!r}: {error}.\n"
            "Hint: `ray start --head` prints the address; leave it out to start a cluster on this "
            "machine."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def host_address() -> str:
    """Return the address by which other machines of the cluster reach this worker's machine."""
    import ray

    host: str = ray.util.get_node_ip_address()
    return host


def _check_reachable(address: str | None) -> None:
    """Raise OSError at once if nothing listens at an address, where Ray would wait for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()


def _check_same_cluster(address: str | None, connected: str) -> None:
    """Check that an address, if there is one, is that of the cluster of this process."""
    if address not in (None, "auto") and not _is_same_address(address, connected):
        raise ValueError(
            f"`cluster` must be the one that this process is connected to, {connected!r}, got "
            f"{address!r}.\n"
            "Hint: call ray.shutdown() first, or leave the address out."
        )


def _is_same_address(one: str, other: str) -> bool:
    """Return whether two addresses are of one port of one machine, by whatever host names."""
    (host, _, port), (other_host, _, other_port) = (
        address.removeprefix("ray://").rpartition(":") for address in (one, other)
    )
    return one == other or (
        port == other_port and bool(_ip_addresses(host) & _ip_addresses(other_host))
    )


def _ip_addresses(host: str) -> set[str]:
    """Return the IP addresses of a host: none if it is unknown, all known ones of this machine."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
    # "localhost" and the address that Ray publishes resolve to different IP addresses.
    of_this_machine = {"127.0.0.1", "::1", host_address()}
    return addresses | of_this_machine if addresses & of_this_machine else addresses
