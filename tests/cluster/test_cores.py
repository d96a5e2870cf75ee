from __future__ import annotations

import os

import pytest

from bayou.cluster import cores


def test_a_process_may_use_the_cores_that_it_may_run_on() -> None:
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)


def test_a_worker_uses_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    # Recorded here, so that both are restored.
    monkeypatch.setattr(cores, "_share", None)
    monkeypatch.setenv("NPROC", "1")
    cores.use_cores(3)
    assert cores.usable_cores() == 3
    assert os.environ["NPROC"] == "3"


def test_without_affinity_all_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # macOS and Windows have none.
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cores.usable_cores() == 5
