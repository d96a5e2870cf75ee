"""benchmarks/loaders.py: contenders draw batches, and the targets are read off their times."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

type Script = Callable[[str], ModuleType]


@pytest.fixture
def loaders(script: Script) -> ModuleType:
    return script("loaders")


@pytest.mark.parametrize(
    "name", ["take", "bayou uniform", "bayou file", "bayou epoch", "one by one"]
)
def test_contender_of_a_small_run_runs(loaders: ModuleType, name: str) -> None:
    loaders.CONTENDERS[name].build(1000)(3)


def test_targets_are_against_take_and_the_loaders(loaders: ModuleType, script: Script) -> None:
    walls = {"take": 2.0, "bayou uniform": 3.0, "bayou file": 4.0, "bayou epoch": 3.0}
    walls |= {"one by one": 60.0, "grain": 20.0}
    cost = script("peers").Cost
    times = {name: [cost(wall, wall)] * 3 for name, wall in walls.items()}
    found = {target.label: (target.measured, target.most) for target in loaders.targets(times)}
    assert found == {
        "bayou uniform / take": pytest.approx((1.5, 1 / 0.6)),
        "bayou file / take": pytest.approx((2.0, 1 / 0.6)),
        "bayou epoch / one by one": pytest.approx((0.05, 0.1)),
        "bayou epoch / grain": pytest.approx((0.15, 0.1)),
    }


def test_the_order_takes_no_more_memory_among_many_rows(loaders: ModuleType) -> None:
    few, many = (loaders.order_cost(num_rows, 10)[1] for num_rows in (10**4, 10**10))
    assert many <= few * 1.1
