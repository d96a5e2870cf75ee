"""benchmarks/step_time.py: what is timed is what it says, and the targets are read off it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

type Script = Callable[[str], ModuleType]


@pytest.fixture
def step_time(script: Script) -> ModuleType:
    return script("step_time")


def test_small_runs_without_peers(step_time: ModuleType) -> None:
    assert step_time.parse(["--small"]).peers == ()
    assert step_time.parse([]).peers == step_time.PEERS


@pytest.mark.parametrize("name", ["bayou", "limit", "graph-scan"])
def test_contender_of_a_small_run_runs(step_time: ModuleType, name: str) -> None:
    advance = step_time.CONTENDERS[name].build(step_time.Problem(300, 2, 8))
    advance(step_time.GRAIN)


def test_peers_are_read_by_name(step_time: ModuleType) -> None:
    assert step_time.peer_names("none") == ()
    assert step_time.peer_names("pymc-c,numpyro-scan") == ("pymc-c", "numpyro-scan")
    with pytest.raises(ArgumentTypeError, match=r"must be none, all or among .*, got \['stan'\]"):
        step_time.peer_names("pymc-c,stan")


def test_problem_is_read_as_it_is_written(step_time: ModuleType) -> None:
    problem = step_time.read_problem("1000x3x50")
    assert problem == step_time.Problem(rows=1000, columns=3, batch=50)
    assert str(problem) == "1000x3x50"
    x, y = problem.draw()
    assert (x.shape, y.shape) == ((1000, 3), (1000,))
    assert set(y) == {0, 1}


@pytest.mark.parametrize("batch", [1, 64, 500, 4096, 10**6])
def test_runs_are_whole_chunks(step_time: ModuleType, batch: int) -> None:
    length = step_time.chunk_length(step_time.Problem(10**6, 20, batch))
    assert length >= 1
    assert step_time.GRAIN % length == 0


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_slots_are_aligned_for_xla(step_time: ModuleType, dtype: Any) -> None:
    for shape in [(1,), (3, 5, 7), (256, 64, 20)]:
        array = step_time.aligned(shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous


def test_gradient_of_the_limit_is_the_path_derivative(step_time: ModuleType) -> None:
    problem = step_time.Problem(100, 4, 10)
    x, y = (array[:10] for array in problem.draw())
    params = (jnp.array([0.1, -0.4, 0.7, 0.0]), jnp.array([-1.0, -2.0, -0.5, 0.3]))
    draw = jnp.array([0.3, -1.2, 0.5, 2.0])

    def loss(params: Any) -> Any:
        (location, log_scale), (still, still_log) = params, jax.lax.stop_gradient(params)
        slopes = location + jnp.exp(log_scale) * draw
        logits = x @ slopes
        likelihood = jnp.where(y == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))
        log_guide = norm.logpdf(slopes, still, jnp.exp(still_log)).sum()
        return log_guide - norm.logpdf(slopes).sum() - problem.scale * likelihood.sum()

    expected, gradient = jax.value_and_grad(loss)(params)
    _, *moments, count = step_time.first_state(problem)
    (moved, first, second, _), found = step_time.step(
        problem, (params, *moments, count), draw, x, y
    )
    assert found == pytest.approx(expected)
    for index in range(2):
        np.testing.assert_allclose(first[index], 0.1 * gradient[index], rtol=1e-9)
        np.testing.assert_allclose(second[index], 0.001 * gradient[index] ** 2, rtol=1e-9)
        move = -step_time.RATE * np.sign(gradient[index])
        np.testing.assert_allclose(moved[index] - params[index], move, rtol=1e-5)


def times_of(step_time: ModuleType, **walls: float) -> dict[str, Any]:
    costs = {name.replace("_", "-"): step_time.Cost(wall, wall) for name, wall in walls.items()}
    return {name: [cost] * 3 for name, cost in costs.items()}


def test_targets_are_against_the_limit_the_scans_and_the_best_tool(step_time: ModuleType) -> None:
    times = times_of(
        step_time, bayou=5.0, limit=4.0, numpyro_scan=6.0, pymc_c=30.0, pymc_numba=20.0
    )
    targets = step_time.speed_targets(times)
    assert [target.label for target in targets] == [
        "bayou / limit",
        "bayou / numpyro-scan",
        "bayou / pymc-numba, the best tool",
    ]
    assert [target.measured for target in targets] == pytest.approx([1.25, 5 / 6, 0.25])
    assert [target.most for target in targets] == [1.25, 1.0, 0.25]


def test_flat_is_the_slowest_over_the_fastest_size(step_time: ModuleType) -> None:
    walls = {"bayou 10": 2.0, "bayou 100": 1.0, "bayou 1000": 1.5, "limit 10": 0.1}
    [target] = step_time.flat_targets(times_of(step_time, **walls))
    assert target == ("bayou 10 / bayou 100", 2.0, 1.3)


@pytest.mark.parametrize(("measured", "verdict"), [(1.0, "met"), (1.4, "missed")])
def test_report_says_what_is_met(
    step_time: ModuleType,
    capsys: pytest.CaptureFixture[str],
    measured: float,
    verdict: str,
) -> None:
    targets = [step_time.Target("bayou / limit", measured, 1.25)]
    assert step_time.report("a title", times_of(step_time, bayou=2e-6), targets) is (
        verdict == "met"
    )
    printed = capsys.readouterr().out
    assert "a title; load average" in printed
    assert verdict in printed
