"""benchmarks/parallel.py: steps have a time, and so has a mean over workers."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from bayou.cluster.ray import Ray
from bayou.cluster.workers import start_workers
from bayou.fitting.stochastic.fit_worker import FitWorker

type Script = Callable[[str], ModuleType]


def test_a_step_has_a_time(script: Script) -> None:
    parallel = script("parallel")
    each, first = parallel.step_seconds(parallel.logistic(2000), 100, 1536, None)
    assert 0 < each < 0.1
    assert first > each


def test_a_mean_over_workers_has_a_time(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")
    parallel = script("parallel")
    with start_workers(Ray(2), FitWorker) as pool:
        parallel.joined(pool)
        assert 0 < parallel.mean_seconds(pool, parallel.SENT, 10) < 1
