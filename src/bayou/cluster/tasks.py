"""Many tasks over the workers of a cluster: each is done once, whichever workers die meanwhile."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.errors import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bayou.cluster.ray import Future, Workers

# The calls that a worker has at a time: one that it runs, and the next one, so that it goes on
# at once when that ends.
IN_FLIGHT = 2
# How far ahead of the results that are handed out tasks are read, in what all workers have at once.
AHEAD = 4
# A task that so many workers died of, or a start, is given up.
DEATHS = 3


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a task.

    Attributes
    ----------
    task : Any
        What it was.
    value : Any
        What was returned.
    error : Exception or None
        What was raised instead; :class:`WorkerDiedError` if it was given up.
    """

    task: Any
    value: Any = None
    error: Exception | None = None


def spread(
    workers: Workers,
    function: Callable[[Any, list[Any]], Sequence[Any]],
    tasks: Iterable[Any],
    *,
    together: int = 1,
    ahead: int = AHEAD,
) -> Iterator[Result]:
    """Have workers do tasks, and yield the results in the order of the tasks.

    Tasks are read as they can be done, and a limited number ahead of the results that are taken,
    which bounds the memory.

    Parameters
    ----------
    workers : Workers
        Who does them. One that dies is replaced, and what it had not finished is done again.
    function : callable
        What a worker holds, some tasks -> what came of each; it runs in a worker.
    tasks : iterable
        What is to be done. They are pickled, and sent again where a worker died.
    together : int, default 1
        As many tasks are sent at once. Where the function raised an error, or the worker died, they
        are done one by one.
    ahead : int, default 4
        How far ahead of the results that are taken tasks are read, as a multiple of what all
        workers have at once. The results in between wait in memory where an earlier one is late.

    Yields
    ------
    Result
        Of each task; one that raises an error, or that three workers died of, has an error.

    Raises
    ------
    Exception
        What the start of a worker raised.
    WorkerDiedError
        If three workers in a row died as they were started.
    """
    return _Spread(workers, function, tasks, together, ahead).results()


@dataclass(eq=False)
class _Call:
    """Tasks that a worker has, by their numbers; no tasks are its start."""

    future: Future
    tasks: list[int]


class _Spread:
    """Where each task is: read, with a worker, or done and waiting for those before it."""

    def __init__(
        self, workers: Workers, function: Any, tasks: Iterable[Any], together: int, ahead: int
    ) -> None:
        self.workers = workers
        self.function = function
        self.unread = iter(tasks)
        self.together = together
        self.most_ahead = ahead * IN_FLIGHT * together * len(workers)
        self.num_read = 0
        self.all_read = False
        self.raised: Exception | None = None
        self.read: dict[int, Any] = {}
        self.again: deque[list[int]] = deque()
        self.calls: list[deque[_Call]] = [deque() for _ in range(len(workers))]
        self.ready = [False] * len(workers)
        self.done: dict[int, Result] = {}
        self.deaths: Counter[int] = Counter()
        self.deaths_at_start = 0

    def results(self) -> Iterator[Result]:
        for index in range(len(self.workers)):
            self._start(index)
        number = 0
        while True:
            # First, since reading further tasks may take time.
            while number in self.done:
                yield self.done.pop(number)
                number += 1
            self._hand_out(number)
            if self.all_read and number == self.num_read:
                if self.raised is not None:
                    raise self.raised
                return
            # Those of a worker are made, and end, in their order.
            self._take(self.workers.wait([calls[0].future for calls in self.calls if calls]))

    def _start(self, index: int) -> None:
        self.ready[index] = False
        self.calls[index] = deque([_Call(self.workers.started(index), [])])

    def _hand_out(self, number: int) -> None:
        """Give all workers that have started enough to do, a call to each in turn."""
        limit = number + self.most_ahead
        for depth in range(IN_FLIGHT):
            for index, calls in enumerate(self.calls):
                if self.ready[index] and len(calls) == depth:
                    tasks = self.again.popleft() if self.again else self._read(limit)
                    if not tasks:
                        return
                    given = [self.read[task] for task in tasks]
                    calls.append(_Call(self.workers.submit(index, self.function, given), tasks))

    def _read(self, limit: int) -> list[int]:
        """Read some more tasks, none beyond a limit, and return their numbers."""
        begin = self.num_read
        while self.num_read < min(limit, begin + self.together):
            try:
                self.read[self.num_read] = next(self.unread)
            except StopIteration:
                self.all_read = True
                break
            except Exception as error:  # To be raised when those before it are done.
                self.all_read, self.raised = True, error
                break
            self.num_read += 1
        return list(range(begin, self.num_read))

    def _take(self, futures: Sequence[Future]) -> None:
        """Take what came of the first calls of some workers."""
        for index, calls in enumerate(self.calls):
            if not calls or calls[0].future not in futures:
                continue
            call = calls.popleft()
            try:
                found = self.workers.result(call.future)
            except WorkerDiedError as error:
                self._died(index, call, error)
            except Exception as error:
                if not call.tasks:
                    raise
                self._failed(call.tasks, error)
            else:
                self._succeeded(index, call.tasks, found)

    def _succeeded(self, index: int, tasks: list[int], found: Any) -> None:
        if not tasks:
            self.ready[index] = True
            self.deaths_at_start = 0
            return
        for task, value in zip(tasks, found, strict=True):
            self.done[task] = Result(self.read.pop(task), value)

    def _failed(self, tasks: list[int], error: Exception) -> None:
        if len(tasks) > 1:
            self._alone(tasks)
        else:
            self.done[tasks[0]] = Result(self.read.pop(tasks[0]), error=error)

    def _died(self, index: int, call: _Call, error: WorkerDiedError) -> None:
        """Replace a worker that died of a call; have others do what it had."""
        for other in reversed(self.calls[index]):
            self.again.appendleft(other.tasks)
        self.workers.replace(index)
        self._start(index)
        if not call.tasks:
            self.deaths_at_start += 1
            if self.deaths_at_start == DEATHS:
                raise WorkerDiedError(
                    f"Workers must live to begin, got {DEATHS} that died as they were started, the "
                    f"last with:\n{error}\n"
                    "Hint: see whether they have enough memory for the model and its data."
                ) from error
            return
        self.deaths.update(call.tasks)
        if len(call.tasks) > 1:
            self._alone(call.tasks)
        elif self.deaths[call.tasks[0]] < DEATHS:
            self.again.appendleft(call.tasks)
        else:
            self.done[call.tasks[0]] = Result(
                self.read.pop(call.tasks[0]),
                error=WorkerDiedError(
                    f"{DEATHS} workers died of it, the last with:\n{error}\n"
                    "Hint: see whether it takes more memory than there is."
                ),
            )

    def _alone(self, tasks: list[int]) -> None:
        """Have tasks that failed together done one by one, before all others."""
        for task in reversed(tasks):
            self.again.appendleft([task])
