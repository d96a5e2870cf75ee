"""Worker processes on a Ray cluster: started with a state, given calls, watched and replaced.

A worker is a Ray actor. It computes its state once, by a function that is sent to it, and each call
gets that state as its first argument; so a model is pickled, sent and compiled once a worker, not
once a call.
"""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bayou.cluster.connection import connect
from bayou.cluster.cores import use_cores
from bayou.cluster.threads import limit_threads
from bayou.errors import WorkerDiedError, warning_of_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from bayou.cluster.ray import Ray

    # An ObjectRef of Ray.
    type Future = Any
    # From the index of a worker, and what all have in common if there is any, to its state.
    type Start = Callable[..., object]
    type LibrarySettings = dict[str, dict[str, object]]

# How long to wait for cores that other work holds. Work that is ending frees them within seconds;
# for longer work, an error is better than a call that seems to hang.
RESERVE_SECONDS = 60.0
# The settings of PyTensor that change what is computed, beyond how fast.
PYTENSOR_SETTINGS = ("floatX", "mode", "linker")


class Workers:
    """Worker processes, each with a state of its own; made by :func:`start_workers`.

    Cores are reserved for all of them together, until :meth:`close`, so that a worker that replaces
    another one has cores too.

    Parameters
    ----------
    ray : module
        Ray, connected to the cluster.
    cluster : Ray
        The number of workers, and of cores of each.
    start : callable
        Takes the index of a worker, returns its state. It is pickled at once, and runs in the
        worker.
    reserve_seconds : float
        How long to wait for cores that are in use.
    shared : object, optional
        The second argument of ``start``, if it is not None: stored once on each machine, where the
        workers read its arrays without a copy.
    """

    def __init__(
        self,
        ray: ModuleType,
        cluster: Ray,
        start: Start,
        reserve_seconds: float,
        shared: object = None,
    ) -> None:
        self._ray = ray
        pickled = _pickle(self._ray.cloudpickle, start)
        number = _number_of_workers(cluster, int(self._ray.cluster_resources().get("CPU", 0)))
        cores = cluster.cpus_per_worker
        # Ray's own restarts, `max_restarts` and `max_task_retries`, were tried with Ray 2.60 and do
        # not serve. The death of a worker counts as a failed try of each call that it has: with two
        # retries, a call that kills its worker took all three others that waited behind it down
        # with it, and one before it whose result was still on its way. They send the same tasks
        # again together, where `run_tasks` sends each by itself to find the one that kills. And
        # `max_restarts` counts over the life of a worker: unlimited, a start that dies was tried
        # 26 times in 40 seconds and on; limited to 2, the third death ends any run. A restart by
        # Ray took 0.7 to 2.4 seconds, a new actor 1.2 (two cores, nothing to start).
        self._kind = self._ray.remote(num_cpus=cores, max_restarts=0)(_Worker)
        self._arguments = (_put(self._ray, pickled), library_settings(), cores)
        self._shared = None if shared is None else _put(self._ray, shared)
        self._starts: dict[int, Future] = {}
        self._reserved = self._ray.util.placement_group([{"CPU": cores}] * number)
        try:
            self._wait_for_cores(number, cores, reserve_seconds)
            self._actors = [self._new_actor(index) for index in range(number)]
        except BaseException:
            self._ray.util.remove_placement_group(self._reserved)
            raise

    def _wait_for_cores(self, number: int, cores: int, seconds: float) -> None:
        if not self._reserved.wait(seconds):
            free = self._ray.available_resources().get("CPU", 0)
            raise RuntimeError(
                f"`cluster` must have {number * cores} free cores for {number} workers, got "
                f"{free:g} after {seconds:g} seconds.\n"
                "Hint: wait until other work on the cluster is done, or ask for fewer workers: "
                "cluster=by.Ray(num_workers=1)."
            )

    def __len__(self) -> int:
        """Return the number of workers."""
        return len(self._actors)

    def submit(self, index: int, function: Callable[..., object], *arguments: object) -> Future:
        """Call ``function(state, *arguments)`` in a worker.

        The calls of one worker run one after the other, in the order in which they are submitted.
        """
        return self._actors[index].run.remote(function, *arguments)

    def started(self, index: int) -> Future:
        """Return the future of the start of a worker, whose result is None."""
        return self._starts[index]

    def wait(self, futures: Sequence[Future]) -> list[Future]:
        """Wait until at least one of the futures is done, and return all that are done."""
        waiting = list(futures)
        self._ray.wait(waiting)
        # `ray.wait` returns as many as were asked for, one, even if several are done.
        done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return list(done)

    def result(self, future: Future) -> Any:
        """Return the result of a call.

        Raises
        ------
        WorkerDiedError
            If the worker has died.
        Exception
            The error that the call, or the start of the worker, raised there.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(future)
        except errors.RayTaskError as error:
            # Its cause is the error that was raised, its text has the traceback in the worker.
            raise getattr(error, "cause", None) or error from error
        except errors.RayError as error:  # Killed, also for its memory, or its machine is lost.
            raise WorkerDiedError(str(error)) from None

    def replace(self, index: int) -> None:
        """Kill a worker, if it is alive, and start another one with its index."""
        self._ray.kill(self._actors[index])
        self._actors[index] = self._new_actor(index)

    def put(self, value: object) -> Future:
        """Store a value once on each machine, to be passed as an argument of many calls.

        Raises
        ------
        MemoryError
            If it does not fit into Ray's shared memory.
        TypeError
            If it cannot be pickled.
        """
        return _put(self._ray, value)

    def close(self) -> None:
        """Kill the workers, and free their cores; warn if the cluster does not answer.

        What they computed is here by then, and must not be lost.
        """
        with warning_of_failure(
            "The workers of the cluster may still run", "look for them by `ray list actors`."
        ):
            for actor in self._actors:
                self._ray.kill(actor)
            self._ray.util.remove_placement_group(self._reserved)

    def _new_actor(self, index: int) -> Any:
        strategy = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            self._reserved, placement_group_bundle_index=index
        )
        kind = self._kind.options(scheduling_strategy=strategy)
        actor = kind.remote(index, *self._arguments)
        # Ray passes the value of a reference that is an argument, which must be unpickled after the
        # settings of the libraries are there.
        self._starts[index] = actor.start.remote(self._shared)
        return actor


@contextmanager
def start_workers(
    cluster: Ray, start: Start, *, shared: object = None, reserve_seconds: float = RESERVE_SECONDS
) -> Iterator[Workers]:
    """Start workers, and end them with the ``with`` block.

    Parameters
    ----------
    cluster : Ray
        The cluster, the number of workers, and of cores of each.
    start : callable
        Takes the index of a worker, returns its state; runs once in each worker.
    shared : object, optional
        The second argument of ``start``, if it is not None: stored once on each machine, where the
        workers read its arrays without a copy.
    reserve_seconds : float, optional
        How long to wait for cores that are in use.

    Yields
    ------
    Workers

    Raises
    ------
    ConnectionError
        If no cluster answers at the address.
    ImportError
        If Ray is not installed.
    MemoryError
        If `start` and `shared`, pickled, do not fit into Ray's shared memory.
    RuntimeError
        If the cores do not become free.
    TypeError
        If `start` or `shared` cannot be pickled.
    ValueError
        If the cluster does not have that many cores, or this process is connected to another one.
    """
    with connect(cluster) as ray:
        workers = Workers(ray, cluster, start, reserve_seconds, shared)
        try:
            yield workers
        finally:
            workers.close()


def library_settings() -> LibrarySettings:
    """Return the settings of JAX and PyTensor in this process that change what is computed."""
    import jax
    import pytensor

    return {
        "jax": {"jax_enable_x64": bool(jax.config.jax_enable_x64)},
        "pytensor": {name: getattr(pytensor.config, name) for name in PYTENSOR_SETTINGS},
    }


class _Worker:
    """The actor, in the process of a worker."""

    def __init__(self, index: int, start: bytes, settings: LibrarySettings, cores: int) -> None:
        use_cores(cores)
        self._index = index
        self._pickled_start = start
        self._error: Exception | None = None
        try:
            import jax
            import pytensor

            for name, value in settings["pytensor"].items():
                setattr(pytensor.config, name, value)
            for name, value in settings["jax"].items():
                jax.config.update(name, value)
            # JAX reserves three quarters of an accelerator's memory for each process.
            jax.config.update("jax_platforms", "cpu")
            limit_threads(cores)
        except Exception as error:
            # An error here would end the actor, and look like the death of its process. It is
            # raised by each call instead.
            self._error = error

    def start(self, shared: object = None) -> None:
        """Compute the state, before any call."""
        self._raise_error()
        try:
            start = pickle.loads(self._pickled_start)
            arguments = () if shared is None else (shared,)
            self._state = start(self._index, *arguments)
        except Exception as error:
            self._error = error
            raise

    def run(self, function: Callable[..., object], *arguments: object) -> object:
        self._raise_error()
        return function(self._state, *arguments)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _pickle(cloudpickle: ModuleType, start: Start) -> bytes:
    try:
        pickled: bytes = cloudpickle.dumps(start)
    except Exception as error:
        raise _pickling_error(error) from error
    return pickled


def _put(ray: ModuleType, value: object) -> Future:
    try:
        return ray.put(value)
    except ray.exceptions.ObjectStoreFullError as error:
        size = ray.cluster_resources().get("object_store_memory", 0)
        raise MemoryError(
            "The model and data for the workers of `cluster` must fit into the memory that Ray "
            f"shares between processes, {size / 1e9:.2g} GB, got more: "
            f"{str(error).splitlines()[0]}\n"
            "Hint: start Ray with more of it, ray.init(object_store_memory=...), or have the model "
            "read its rows from files, by.scan, which each worker opens for itself."
        ) from error
    except Exception as error:
        raise _pickling_error(error) from error


def _pickling_error(error: Exception) -> TypeError:
    return TypeError(
        "The model and data for the workers of `cluster` must be picklable, got "
        f"{type(error).__name__}: {error}\n"
        "Hint: leave `cluster` out, or keep objects that cannot be pickled, such as connections "
        "and generators, out of the model."
    )


def _number_of_workers(cluster: Ray, cores: int) -> int:
    """Return the number of workers on a cluster with that many cores."""
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
