"""Workers on a Ray cluster: processes that are started, given work, watched and replaced."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.arguments import whole_number
from bayou.cluster.cores import use_cores
from bayou.errors import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    type Future = Any
    type Start = Callable[[int], Any]

# How long cores may take to become free, and an address to answer.
RESERVE_SECONDS = 60
REACH_SECONDS = 10
# What PyTensor compiles by.
PYTENSOR_SETTINGS = ("floatX", "mode", "linker")


@dataclass(frozen=True)
class Ray:
    """A Ray cluster, and how much of it is used.

    Parameters
    ----------
    num_workers : int, optional
        The number of processes that work; by default one for each of the cluster's cores.
    address : str, optional
        Of a cluster that runs, as ``ray.init`` takes it; by default the one that this process is
        connected to, else that of ``RAY_ADDRESS`` or of this machine, else a new one on this
        machine, which ends with the work.
    cpus_per_worker : int, default 1
        The cores of each, which decide how many threads it computes with.

    Raises
    ------
    ValueError
        If a number is below one.

    Examples
    --------
    >>> Ray(num_workers=2)
    Ray(num_workers=2, address=None, cpus_per_worker=1)
    """

    num_workers: int | None = None
    address: str | None = None
    cpus_per_worker: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num_workers is not None:
            whole_number("num_workers", self.num_workers, 1, "it counts processes.")
        whole_number("cpus_per_worker", self.cpus_per_worker, 1, "it counts cores.")


class Workers:
    """Processes that each hold something of their own and are given work.

    Made by :func:`workers`. Each has cores reserved for as long as there are workers, so that one
    that takes the place of another has them too.

    Parameters
    ----------
    cluster : Ray
        Where they run.
    start : callable
        The number of a worker -> what it holds; it runs in that worker. It is pickled at once.

    Raises
    ------
    MemoryError
        If `start` does not fit in Ray's memory for what is shared.
    RuntimeError
        If the cores are not free.
    TypeError
        If `start` does not pickle.
    ValueError
        If the cluster does not have as many cores.
    """

    def __init__(self, cluster: Ray, start: Start) -> None:
        import ray

        self._ray = ray
        pickled = _pickled(ray.cloudpickle, start)
        number = _number_of(cluster, int(ray.cluster_resources().get("CPU", 0)))
        cores = cluster.cpus_per_worker
        self._kind = ray.remote(num_cpus=cores, max_restarts=0)(_Worker)
        self._arguments = (_put(ray, pickled), settings(), cores)
        self._reserved = ray.util.placement_group([{"CPU": cores}] * number)
        try:
            self._wait_for_cores(number, cores)
            self._actors = [self._made(index) for index in range(number)]
        except BaseException:
            ray.util.remove_placement_group(self._reserved)
            raise

    def _wait_for_cores(self, number: int, cores: int) -> None:
        if not self._reserved.wait(RESERVE_SECONDS):
            free = self._ray.available_resources().get("CPU", 0)
            raise RuntimeError(
                f"`cluster` must have {number * cores} cores free for {number} workers, got "
                f"{free:g} after {RESERVE_SECONDS} seconds.\n"
                "Hint: wait until other work on it is done, or ask for fewer: "
                "cluster=by.Ray(num_workers=1)."
            )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._actors)

    def submit(self, index: int, function: Callable[..., Any], *arguments: Any) -> Future:
        """Have a worker call a function with what it holds and with the arguments."""
        return self._actors[index].run.remote(function, *arguments)

    def started(self, index: int) -> Future:
        """Return the future of a worker's start, whose result is None."""
        return self._actors[index].started.remote()

    def wait(self, futures: Sequence[Future]) -> list[Future]:
        """Return those of the futures that are finished, once there is one."""
        waiting = list(futures)
        self._ray.wait(waiting)
        # And the others that are finished by now, which it leaves out.
        done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return list(done)

    def result(self, future: Future) -> Any:
        """Return what came of a call.

        Raises
        ------
        WorkerDiedError
            If the worker is gone.
        Exception
            What the call, or the start of the worker, raised.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(future)
        except errors.RayTaskError as error:
            # Beneath it is what was raised, and where.
            raise getattr(error, "cause", None) or error from error
        except errors.RayError as error:  # Of Ray's own: killed, for memory too, or lost.
            raise WorkerDiedError(str(error)) from None

    def replace(self, index: int) -> None:
        """End a worker, if it is not dead, and start another in its place."""
        self._ray.kill(self._actors[index])
        self._actors[index] = self._made(index)

    def put(self, value: Any) -> Any:
        """Keep a value where all workers of a machine read it; it is an argument of calls.

        Raises
        ------
        MemoryError
            If it does not fit in Ray's memory for what is shared.
        TypeError
            If it does not pickle.
        """
        return _put(self._ray, value)

    def close(self) -> None:
        """End all of them."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.util.remove_placement_group(self._reserved)

    def _made(self, index: int) -> Any:
        strategy = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            self._reserved, placement_group_bundle_index=index
        )
        placed = self._kind.options(scheduling_strategy=strategy)
        return placed.remote(index, *self._arguments)


@contextmanager
def workers(cluster: Ray, start: Start) -> Iterator[Workers]:
    """Start workers, and end them at the end of a with block.

    Parameters
    ----------
    cluster : Ray
        Where they run.
    start : callable
        The number of a worker -> what it holds; it runs in that worker, once.

    Raises
    ------
    ConnectionError
        If there is no cluster at the address.
    ImportError
        If Ray is not installed.
    RuntimeError
        If its cores are not free.
    TypeError
        If `start` does not pickle.
    ValueError
        If it does not have as many cores, or this process is connected to another cluster.
    """
    with _connected(cluster):
        started = Workers(cluster, start)
        try:
            yield started
        finally:
            started.close()


def ray_of(cluster: Any) -> Ray | None:
    """Return what the argument `cluster` of a public function means.

    Raises
    ------
    TypeError
        If it is neither None, "ray", an address nor a :class:`Ray`.
    """
    if cluster is None or isinstance(cluster, Ray):
        return cluster
    if isinstance(cluster, str):
        return Ray() if cluster == "ray" else Ray(address=cluster)
    raise TypeError(
        f'`cluster` must be None, "ray", the address of a cluster or a by.Ray, got {cluster!r}.\n'
        "Hint: pass cluster=by.Ray(num_workers=2)."
    )


def own_host() -> str:
    """Return the address of this machine, as the others of a cluster know it; for workers."""
    import ray

    host: str = ray.util.get_node_ip_address()
    return host


def settings() -> dict[str, Any]:
    """Return the settings of this process that decide what workers compute."""
    import jax
    import pytensor

    return {
        "jax": {"jax_enable_x64": bool(jax.config.jax_enable_x64)},
        "pytensor": {name: getattr(pytensor.config, name) for name in PYTENSOR_SETTINGS},
    }


class _Worker:
    """What runs in the process of a worker."""

    def __init__(self, index: int, start: bytes, settings: dict[str, Any], cores: int) -> None:
        use_cores(cores)
        self._error: Exception | None = None
        try:
            import jax
            import pytensor

            for name, value in settings["pytensor"].items():
                setattr(pytensor.config, name, value)
            for name, value in settings["jax"].items():
                jax.config.update(name, value)
            # Several of them would each take most of an accelerator's memory.
            jax.config.update("jax_platforms", "cpu")
            self._held = pickle.loads(start)(index)
        except Exception as error:  # To be told by each call, rather than as the worker's death.
            self._error = error

    def started(self) -> None:
        if self._error is not None:
            raise self._error

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.started()
        return function(self._held, *arguments)


def _pickled(cloudpickle: Any, start: Start) -> bytes:
    try:
        found: bytes = cloudpickle.dumps(start)
    except Exception as error:
        raise _refused(error) from error
    return found


def _put(ray: Any, value: Any) -> Any:
    try:
        return ray.put(value)
    except ray.exceptions.ObjectStoreFullError as error:
        size = ray.cluster_resources().get("object_store_memory", 0)
        raise MemoryError(
            "What workers of `cluster` are sent must fit in the memory that Ray shares between "
            f"processes, {size / 1e9:.2g} GB, got more: {str(error).splitlines()[0]}\n"
            "Hint: start Ray with more of it, ray.init(object_store_memory=...), or have the model "
            "read its rows from files, by.scan, which each worker opens for itself."
        ) from error
    except Exception as error:
        raise _refused(error) from error


def _refused(error: Exception) -> TypeError:
    return TypeError(
        "What workers of `cluster` are sent must pickle, the model and its data included, got "
        f"{type(error).__name__}: {error}\n"
        "Hint: leave `cluster` out, or hold what does not pickle, such as a connection or a "
        "generator, out of the model."
    )


def _number_of(cluster: Ray, cores: int) -> int:
    """Return the number of workers on a cluster of so many cores."""
    number = cluster.num_workers
    if number is None:
        number = max(1, cores // cluster.cpus_per_worker)
    if number * cluster.cpus_per_worker > cores:
        raise ValueError(
            f"`cluster` must have {number * cluster.cpus_per_worker} cores for {number} workers of "
            f"{cluster.cpus_per_worker}, got {cores}.\n"
            "Hint: ask for fewer: cluster=by.Ray(num_workers=..., cpus_per_worker=1)."
        )
    return number


@contextmanager
def _connected(cluster: Ray) -> Iterator[None]:
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "`cluster` must be left out where Ray is not installed.\n"
            "Hint: pip install 'bayou[ray]'."
        ) from error
    if ray.is_initialized():
        _refuse_another(cluster.address, ray.get_runtime_context().gcs_address)
        yield
        return
    # It would hide accelerators from workers that ask for none, and warn of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    try:
        _reach(address)
        with warnings.catch_warnings():
            # Ray starts its processes anew, with nothing of the threads of this one.
            warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        if address in (None, "local"):
            raise
        raise ConnectionError(
            f"`cluster` must be the address of a Ray cluster that runs, got {address!r}: {error}.\n"
            "Hint: `ray start --head` shows one; leave it out for a new one on this machine."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str | None) -> None:
    """Ask whether something answers at an address, for which Ray alone would take minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()


def _refuse_another(address: str | None, connected: str) -> None:
    if address not in (None, "auto") and not _is_same(address, connected):
        raise ValueError(
            "`cluster` must be the one that this process is connected to, "
            f"{connected!r}, got {address!r}.\n"
            "Hint: call ray.shutdown() first, or leave the address out."
        )


def _is_same(one: str, other: str) -> bool:
    """Tell whether two addresses are of one place, by whatever names."""
    (host, _, port), (other_host, _, other_port) = (
        address.removeprefix("ray://").rpartition(":") for address in (one, other)
    )
    return one == other or (port == other_port and bool(_places(host) & _places(other_host)))


def _places(host: str) -> set[str]:
    """Return the addresses of a host; those of this machine are all of one place."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
    own = {"127.0.0.1", "::1", own_host()}
    return found | own if found & own else found
