"""Worker processes that outlive calls: the interface of a Ray cluster's workers, without Ray.

They run the code of :class:`bayou.cluster.workers` in plain processes, which are started once in a
session of tests. Functions and states are pickled as Ray pickles them.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import cloudpickle

from bayou.cluster.ray import Ray
from bayou.cluster.workers import _Worker, library_settings
from bayou.errors import WorkerDiedError

# The worker of a process.
_workers: list[_Worker] = []


def _begin(index: int, start: bytes, settings: dict[str, Any], shared: bytes) -> None:
    _workers[:] = [_Worker(index, start, settings, 1)]
    _workers[0].start(cloudpickle.loads(shared))


def _run(call: bytes) -> bytes:
    function, arguments = cloudpickle.loads(call)
    return bytes(cloudpickle.dumps(_workers[0].run(function, *arguments)))


class WarmWorkers:
    """Processes that get a new state with each call of this object, in place of `start_workers`.

    Parameters
    ----------
    number : int
    """

    def __init__(self, number: int) -> None:
        self._processes = [_new_process() for _ in range(number)]
        self._number = number
        self._start: tuple[bytes, dict[str, Any], bytes] | None = None
        self._begun: list[Future[None]] = []

    @contextmanager
    def __call__(
        self, cluster: Ray, start: Callable[..., Any], *, shared: object = None
    ) -> Iterator[WarmWorkers]:
        self._number = min(cluster.num_workers or 1, len(self._processes))
        self._start = cloudpickle.dumps(start), library_settings(), cloudpickle.dumps(shared)
        self._begun = [self._begin(index) for index in range(self._number)]
        yield self
        # Calls that are running are waited for, so that the next state meets idle processes.
        for index in range(self._number):
            self._result_or_death(self._processes[index].submit(os.getpid))

    def __len__(self) -> int:
        return self._number

    def submit(self, index: int, function: Callable[..., Any], *arguments: Any) -> Future[bytes]:
        return self._processes[index].submit(_run, cloudpickle.dumps((function, arguments)))

    def started(self, index: int) -> Future[None]:
        return self._begun[index]

    def wait(self, futures: Sequence[Future[Any]]) -> list[Future[Any]]:
        done = wait(futures, return_when=FIRST_COMPLETED).done
        return [future for future in futures if future in done]

    def result(self, future: Future[Any]) -> Any:
        try:
            value = future.result()
        except BrokenProcessPool as error:
            raise WorkerDiedError(str(error)) from None
        return None if value is None else cloudpickle.loads(value)

    def replace(self, index: int) -> None:
        self._processes[index].shutdown(wait=False, cancel_futures=True)
        self._processes[index] = _new_process()
        self._begun[index] = self._begin(index)

    def close(self) -> None:
        for process in self._processes:
            process.shutdown(cancel_futures=True)

    def _begin(self, index: int) -> Future[None]:
        assert self._start is not None
        try:
            return self._processes[index].submit(_begin, index, *self._start)
        except BrokenProcessPool:  # Killed in an earlier test.
            self._processes[index] = _new_process()
            return self._processes[index].submit(_begin, index, *self._start)

    def _result_or_death(self, future: Future[int]) -> None:
        try:
            future.result()
        except BrokenProcessPool:
            return


def _new_process() -> ProcessPoolExecutor:
    # A forked process would inherit the threads' locks of JAX in an unknown state.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
