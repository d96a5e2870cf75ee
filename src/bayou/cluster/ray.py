"""Workers on a Ray cluster: processes that are started, given work, watched and replaced."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.arguments import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    type Future = Any
    type Start = Callable[[int], Any]


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
        The cores of each.

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


class WorkerDiedError(RuntimeError):
    """The process of a worker is gone: killed, out of memory, or with its machine."""


class Workers:
    """Processes that each hold something of their own and are given work.

    Made by :func:`workers`.

    Parameters
    ----------
    cluster : Ray
        Where they run.
    start : callable
        The number of a worker -> what it holds; it runs in that worker.
    """

    def __init__(self, cluster: Ray, start: Start) -> None:
        import ray

        self._ray = ray
        self._start = ray.put(start)
        options = {"num_cpus": cluster.cpus_per_worker, "max_restarts": 0}
        self._make = ray.remote(**options)(_Worker).remote
        number = cluster.num_workers
        if number is None:
            number = int(ray.cluster_resources().get("CPU", 1)) // cluster.cpus_per_worker
        self._settings = settings()
        self._actors = [self._make(self._start, index, self._settings) for index in range(number)]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._actors)

    def submit(self, index: int, function: Callable[..., Any], *arguments: Any) -> Future:
        """Have a worker call a function with what it holds and with the arguments."""
        return self._actors[index].run.remote(function, *arguments)

    def wait(self, futures: Sequence[Future], seconds: float | None = None) -> list[Future]:
        """Return those of the futures that are finished, at least one, unless the time is up."""
        done, _ = self._ray.wait(list(futures), timeout=seconds)
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
        try:
            return self._ray.get(future)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            raise WorkerDiedError(str(error)) from None

    def replace(self, index: int) -> None:
        """End a worker, if it is not dead, and start another in its place."""
        self._ray.kill(self._actors[index])
        self._actors[index] = self._make(self._start, index, self._settings)

    def put(self, value: Any) -> Any:
        """Keep a value where all workers of a machine read it; it is an argument of calls."""
        return self._ray.put(value)

    def close(self) -> None:
        """End all of them."""
        for actor in self._actors:
            self._ray.kill(actor)


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
    ImportError
        If Ray is not installed.
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
        "floatX": pytensor.config.floatX,
        "jax_enable_x64": bool(jax.config.jax_enable_x64),
    }


class _Worker:
    """What runs in the process of a worker."""

    def __init__(self, start: Start, index: int, settings: dict[str, Any]) -> None:
        import jax
        import pytensor

        pytensor.config.floatX = settings["floatX"]
        jax.config.update("jax_enable_x64", settings["jax_enable_x64"])
        self._held = start(index)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self._held, *arguments)


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
        yield
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()
