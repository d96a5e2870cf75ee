"""Many tasks on the workers of a cluster: each has one result, in order, whichever workers die.

Tasks are sent in groups. If a group fails, or its worker dies, each of its tasks is sent again by
itself, so that one task that kills its worker does not take others down. Ray's own retries do not
do that; `bayou.cluster.workers` says what they do instead.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.errors import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bayou.cluster.workers import Future, Workers

    # From the state of a worker and a group of tasks to the results of these tasks.
    type GroupFunction[Task] = Callable[[Any, list[Task]], Sequence[object]]

# The calls that a worker has at a time: one that runs, and one that waits, so that the worker does
# not idle while the result of the first travels.
CALLS_PER_WORKER = 2
# How far reading may run ahead of the results that are taken, in multiples of the tasks that all
# workers have at once. It trades memory for idle workers behind a slow task.
READ_AHEAD = 4
# A task, or the start of workers, is given up after so many deaths. One death may be chance, such
# as a machine that is lost or whose memory others filled; three of one task are its own doing.
MAX_DEATHS = 3


@dataclass(frozen=True, eq=False)
class TaskResult[Task]:
    """The result of a task, or its error.

    Attributes
    ----------
    task : object
        The task, as it was read.
    value : object
        The result; None if there is an error.
    error : Exception or None
        The error that the task raised; :class:`WorkerDiedError` if workers died of it.
    """

    task: Task
    value: Any = None
    error: Exception | None = None


def run_tasks[Task](
    workers: Workers,
    function: GroupFunction[Task],
    tasks: Iterable[Task],
    *,
    group_size: int = 1,
    read_ahead: int = READ_AHEAD,
) -> Iterator[TaskResult[Task]]:
    """Run tasks on workers, and yield their results in the order of the tasks.

    Tasks are read while others run. How far reading runs ahead of the results that are taken is
    limited, which bounds the memory.

    Parameters
    ----------
    workers : Workers
        The workers. One that dies is replaced, and its unfinished tasks are run again.
    function : callable
        Takes the state of a worker and a list of tasks, returns their results; runs in a worker.
    tasks : iterable
        The tasks. They are pickled, and sent again if a worker dies.
    group_size : int, default 1
        The number of tasks that are sent together. Tasks of a group that raised an error, or of
        which a worker died, are sent one by one.
    read_ahead : int, default 4
        How far reading may run ahead of the results that are taken, in multiples of the tasks that
        all workers have at once. Results that wait for an earlier one are kept in memory.

    Yields
    ------
    TaskResult
        One a task. It has an error if the task raised one, or if three workers died of it.

    Raises
    ------
    Exception
        The error that the start of a worker raised, or that reading the tasks raised; the latter
        after the results of the tasks before.
    WorkerDiedError
        If three workers in a row died as they started.
    """
    return _TaskRun(workers, function, tasks, group_size, read_ahead).results()


@dataclass(eq=False)
class _Call:
    """A call that a worker has: the numbers of its tasks, none for the start of the worker."""

    future: Future
    tasks: list[int]


class _TaskRun[Task]:
    """The state of :func:`run_tasks`: which tasks are read, with a worker, to be sent again, done.

    Tasks are known by their numbers, in the order in which they were read.
    """

    def __init__(
        self,
        workers: Workers,
        function: GroupFunction[Task],
        tasks: Iterable[Task],
        group_size: int,
        read_ahead: int,
    ) -> None:
        self.workers = workers
        self.function = function
        self.unread = iter(tasks)
        self.group_size = group_size
        self.max_ahead = read_ahead * CALLS_PER_WORKER * group_size * len(workers)
        self.num_read = 0
        self.is_all_read = False
        self.reading_error: Exception | None = None
        # The tasks that are read and not done; they are sent again if a worker dies.
        self.unfinished: dict[int, Task] = {}
        self.to_resend: deque[list[int]] = deque()
        self.calls: list[deque[_Call]] = [deque() for _ in range(len(workers))]
        self.has_started = [False] * len(workers)
        # Results that wait for those of earlier tasks.
        self.done: dict[int, TaskResult[Task]] = {}
        self.deaths: Counter[int] = Counter()
        self.deaths_at_start = 0

    def results(self) -> Iterator[TaskResult[Task]]:
        """Run all tasks, and yield their results in order."""
        for index in range(len(self.workers)):
            self._expect_start(index)
        next_task = 0
        while True:
            # Results go out before more tasks are read, since reading may take long.
            while next_task in self.done:
                yield self.done.pop(next_task)
                next_task += 1
            self._send_tasks(next_task)
            if self.is_all_read and next_task == self.num_read:
                if self.reading_error is not None:
                    raise self.reading_error
                return
            # The calls of a worker end in their order, so it is enough to wait for the first.
            self._collect(self.workers.wait([calls[0].future for calls in self.calls if calls]))

    def _expect_start(self, index: int) -> None:
        """Wait for the start of a new worker before it is sent tasks."""
        self.has_started[index] = False
        self.calls[index] = deque([_Call(self.workers.started(index), [])])

    def _send_tasks(self, next_task: int) -> None:
        """Fill the queues of all workers that have started, a call to each in turn."""
        limit = next_task + self.max_ahead
        for depth in range(CALLS_PER_WORKER):
            for index, calls in enumerate(self.calls):
                if self.has_started[index] and len(calls) == depth:
                    numbers = self.to_resend.popleft() if self.to_resend else self._read(limit)
                    if not numbers:
                        return
                    group = [self.unfinished[number] for number in numbers]
                    future = self.workers.submit(index, self.function, group)
                    calls.append(_Call(future, numbers))

    def _read(self, limit: int) -> list[int]:
        """Read a group of tasks, none with a number of `limit` or above; return their numbers."""
        begin = self.num_read
        while self.num_read < min(limit, begin + self.group_size):
            try:
                self.unfinished[self.num_read] = next(self.unread)
            except StopIteration:
                self.is_all_read = True
                break
            except Exception as error:  # Raised by `results` once the tasks before are done.
                self.is_all_read, self.reading_error = True, error
                break
            self.num_read += 1
        return list(range(begin, self.num_read))

    def _collect(self, futures: Sequence[Future]) -> None:
        """Take the results of the calls whose futures are done, at most one of each worker."""
        for index, calls in enumerate(self.calls):
            if not calls or calls[0].future not in futures:
                continue
            call = calls.popleft()
            try:
                values = self.workers.result(call.future)
            except WorkerDiedError as error:
                self._handle_death(index, call, error)
            except Exception as error:
                if not call.tasks:
                    raise
                self._handle_error(call.tasks, error)
            else:
                self._handle_values(index, call.tasks, values)

    def _handle_values(self, index: int, tasks: list[int], values: Sequence[object]) -> None:
        if not tasks:
            self.has_started[index] = True
            self.deaths_at_start = 0
            return
        for task, value in zip(tasks, values, strict=True):
            self.done[task] = TaskResult(self.unfinished.pop(task), value)

    def _handle_error(self, tasks: list[int], error: Exception) -> None:
        if len(tasks) > 1:
            self._resend_one_by_one(tasks)
        else:
            self.done[tasks[0]] = TaskResult(self.unfinished.pop(tasks[0]), error=error)

    def _handle_death(self, index: int, call: _Call, error: WorkerDiedError) -> None:
        """Replace a worker that died in a call, and send its tasks again."""
        # The calls that waited behind are not to blame: their tasks count no death.
        for waiting in reversed(self.calls[index]):
            self.to_resend.appendleft(waiting.tasks)
        self.workers.replace(index)
        self._expect_start(index)
        if not call.tasks:
            self.deaths_at_start += 1
            if self.deaths_at_start == MAX_DEATHS:
                raise WorkerDiedError(
                    f"The workers of `cluster` must start, got {MAX_DEATHS} in a row that died as "
                    f"they started, the last with:\n{error}\n"
                    "Hint: check that a worker has enough memory for the model and its data."
                ) from error
            return
        self.deaths.update(call.tasks)
        if len(call.tasks) > 1:
            self._resend_one_by_one(call.tasks)
        elif self.deaths[call.tasks[0]] < MAX_DEATHS:
            self.to_resend.appendleft(call.tasks)
        else:
            self.done[call.tasks[0]] = TaskResult(
                self.unfinished.pop(call.tasks[0]),
                error=WorkerDiedError(
                    f"{MAX_DEATHS} workers died of it, the last with:\n{error}\n"
                    "Hint: check whether it takes more memory than there is."
                ),
            )

    def _resend_one_by_one(self, tasks: list[int]) -> None:
        """Send each task of a group that failed by itself, before all others."""
        for task in reversed(tasks):
            self.to_resend.appendleft([task])
