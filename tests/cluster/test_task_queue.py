"""Tasks over workers: each has its result, in order, whichever workers die."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.cluster.ray import Ray
from bayou.cluster.task_queue import CALLS_PER_WORKER, MAX_DEATHS, READ_AHEAD, run_tasks
from bayou.cluster.workers import start_workers
from bayou.errors import WorkerDiedError


class Killed(BaseException):
    """What ends a worker of this process."""


@dataclass(eq=False)
class Here:
    """Workers of this process, which do what they have when they are waited for, in any order."""

    number: int
    start: Callable[[], Any]
    chance: random.Random

    def __post_init__(self) -> None:
        self.dead = [False] * self.number
        self.queues: list[list[Any]] = [[] for _ in range(self.number)]
        self.ended: dict[Any, Callable[[], Any]] = {}
        self.most = 0

    def __len__(self) -> int:
        return self.number

    def started(self, index: int) -> object:
        return self.submit(index, lambda held: self.start())

    def submit(self, index: int, function: Callable[..., Any], *arguments: Any) -> object:
        future = object()
        self.queues[index].append((future, function, arguments))
        self.most = max(self.most, len(self.queues[index]))
        return future

    def wait(self, futures: Sequence[object]) -> list[object]:
        while not self.ended.keys() & set(futures):
            index = self.chance.choice([i for i, queue in enumerate(self.queues) if queue])
            future, function, arguments = self.queues[index].pop(0)
            self.ended[future] = self._do(index, function, arguments)
        return [future for future in futures if future in self.ended]

    def result(self, future: object) -> Any:
        return self.ended[future]()

    def replace(self, index: int) -> None:
        assert self.dead[index]
        self.dead[index] = False
        self.queues[index] = []

    def _do(self, index: int, function: Any, arguments: Any) -> Callable[[], Any]:
        error: Exception
        if not self.dead[index]:
            try:
                value = function(None, *arguments)
            except Killed:
                self.dead[index] = True
            except Exception as raised:
                error = raised
                return lambda: _raise(error)
            else:
                return lambda: value
        return lambda: _raise(WorkerDiedError("gone"))


def _raise(error: Exception) -> None:
    raise error


KINDS = st.sampled_from(["good", "good", "good", "raises", "kills", "kills once"])


@given(
    kinds=st.lists(KINDS, max_size=40),
    number=st.integers(1, 4),
    together=st.integers(1, 5),
    ahead=st.integers(1, READ_AHEAD),
    seed=st.integers(0, 10**6),
)
def test_each_task_has_its_result(  # noqa: C901
    kinds: list[str], number: int, together: int, ahead: int, seed: int
) -> None:
    tries: Counter[int] = Counter()
    taken = 0

    def work(held: None, tasks: list[tuple[int, str]]) -> list[int]:
        assert 1 <= len(tasks) <= together
        tries.update(task for task, _ in tasks)
        for task, kind in tasks:
            if kind == "kills" or (kind == "kills once" and tries[task] == 1):
                raise Killed
            if kind == "raises":
                raise ValueError(f"no {task}")
        return [task**2 for task, _ in tasks]

    def read() -> Iterator[tuple[int, str]]:
        for task in enumerate(kinds):
            assert task[0] - taken < ahead * CALLS_PER_WORKER * together * number
            yield task

    here: Any = Here(number, lambda: None, random.Random(seed))
    found = run_tasks(here, work, read(), group_size=together, read_ahead=ahead)
    for place, result in enumerate(found):
        task, kind = result.task
        assert task == place
        if kind == "raises":
            assert str(result.error) == f"no {task}"
        elif kind == "kills":
            assert str(result.error).startswith(
                f"{MAX_DEATHS} workers died of it, the last with:\ngone"
            )
            assert tries[task] >= MAX_DEATHS
        else:
            assert (result.value, result.error) == (task**2, None)
        taken += 1
    assert taken == len(kinds)
    assert here.most <= CALLS_PER_WORKER
    if set(kinds) <= {"good"}:
        assert set(tries.values()) <= {1}


@given(seed=st.integers(0, 100), number=st.integers(1, 3))
def test_starts_that_die_are_tried_again_a_few_times(seed: int, number: int) -> None:
    starts: Counter[str] = Counter()

    def start() -> None:
        starts["all"] += 1
        if starts["all"] < MAX_DEATHS:
            raise Killed

    here: Any = Here(number, start, random.Random(seed))
    found = list(run_tasks(here, lambda held, tasks: tasks, [1, 2]))
    assert [result.value for result in found] == [1, 2]

    def die() -> None:
        raise Killed

    here = Here(number, die, random.Random(seed))
    with pytest.raises(
        WorkerDiedError, match=r"3 in a row that died as they started, .*\ngone\nHint"
    ):
        list(run_tasks(here, lambda held, tasks: tasks, [1]))


def test_a_start_that_fails_is_raised() -> None:
    def fail() -> None:
        raise ValueError("no start")

    here: Any = Here(2, fail, random.Random(0))
    with pytest.raises(ValueError, match="no start"):
        list(run_tasks(here, lambda held, tasks: tasks, [1]))


def squares(held: Path, tasks: list[int]) -> list[int]:
    for task in tasks:
        if task == 7 and not (held / "killed").exists():
            (held / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [task * task for task in tasks]


@pytest.mark.slow
@pytest.mark.usefixtures("two_cores")
def test_a_killed_process_loses_no_task(tmp_path: Path) -> None:
    with start_workers(Ray(2), lambda index: tmp_path) as pool:
        found = [result.value for result in run_tasks(pool, squares, range(30), group_size=3)]
    assert found == [task * task for task in range(30)]
    assert (tmp_path / "killed").exists()
