"""benchmarks/peers.py: workers that answer and fail, and the arithmetic of turns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

type Script = Callable[[str], ModuleType]


@pytest.fixture
def peers(script: Script) -> ModuleType:
    return script("peers")


def worker_of(peers: ModuleType, folder: Path, name: str, build: str) -> Any:
    """Start a worker that sets up by an expression."""
    code = f"import peers, sys\npeers.serve(lambda: {build})\n"
    file = folder / f"{name}.py"
    file.write_text(code, encoding="utf-8")
    path = {"PYTHONPATH": str(Path(peers.__file__).parent)}
    return peers.start_worker(name, Path(sys.executable), [str(file)], path)


def test_worker_answers_until_it_is_closed(peers: ModuleType, tmp_path: Path) -> None:
    worker = worker_of(peers, tmp_path, "talkative", "lambda steps: print('done', steps)")
    worker.wait()
    costs = [worker.run(steps) for steps in (1, 2)]
    assert all(cost.wall > 0 for cost in costs)
    worker.close()
    assert worker.process.returncode == 0
    assert not worker.log.exists()


def test_worker_that_ends_says_why(peers: ModuleType, tmp_path: Path) -> None:
    worker = worker_of(peers, tmp_path, "broken", "sys.exit('no such tool')")
    message = r"`broken` must answer, got exit code 1: no such tool\nHint: all that it printed"
    with pytest.raises(peers.WorkerError, match=message):
        worker.wait()
    worker.log.unlink()


def test_a_worker_may_be_missing_unless_it_is_required(
    peers: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = worker_of(peers, tmp_path, "broken", "sys.exit('no such tool')")
    good = worker_of(peers, tmp_path, "good", "lambda steps: None")
    assert peers.ready([broken, good], required=["good"]) == {"good": good}
    assert "no such tool" in capsys.readouterr().err
    good.close()
    broken.log.unlink()
    needed = worker_of(peers, tmp_path, "needed", "sys.exit('no such tool')")
    with pytest.raises(peers.WorkerError, match="no such tool"):
        peers.ready([needed], required=["needed"])
    needed.log.unlink()


def fake_worker(peers: ModuleType, once: float, step: float) -> Any:
    """Return a worker whose runs cost so much once and so much a step, on two cores."""

    class Fake(peers.Worker):
        def run(self, num_steps: int) -> Any:
            wall = once + step * num_steps
            return peers.Cost(wall, 2 * wall)

        def close(self) -> None: ...

    return Fake("fake", None, Path())


def test_long_run_outlasts_what_a_run_costs_once(peers: ModuleType) -> None:
    assert fake_worker(peers, once=0.0, step=0.01).steps_in(1.0, grain=16) == 128
    assert fake_worker(peers, once=3.0, step=0.01).steps_in(1.0, grain=16) == 512


def test_costs_of_a_step_are_what_is_beyond_the_short_run(peers: ModuleType) -> None:
    workers = {"quick": fake_worker(peers, 3.0, 0.01), "slow": fake_worker(peers, 0.0, 0.02)}
    times = peers.time_in_turns(workers, {"quick": 16, "slow": 4}, num_rounds=3, seconds=1.0)
    assert {name: len(costs) for name, costs in times.items()} == {"quick": 3, "slow": 3}
    assert times["quick"][0] == pytest.approx((0.01, 0.02))
    assert peers.ratio(times, "slow", "quick") == pytest.approx(2)


def test_environment_is_another_one_for_other_pins(peers: ModuleType, tmp_path: Path) -> None:
    one, other = (peers.environment_folder(pins, tmp_path) for pins in (("a==1",), ("a==2",)))
    assert one != other
    assert one.parent == other.parent == tmp_path / "benchmarks"
    assert all("==" in pin for pin in peers.PINS)
