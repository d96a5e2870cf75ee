"""Stochastic ADVI: why it ends, what it records, and where it goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.density.program import Program
from bayou.fitting.guides.approximation import Approximation
from bayou.fitting.guides.mean_field import MeanField
from bayou.fitting.rows.feeds import program_feeds
from bayou.fitting.rows.task import Task
from bayou.fitting.stochastic.advi import MAX_PATH, SHORT_PATH, fit_stochastic
from bayou.fitting.stochastic.checkpoint import Checkpoint, open_checkpoint

DATA = np.random.default_rng(0).normal(2.0, 1.0, size=200)


@pytest.fixture(scope="module")
def program() -> Program:
    with pm.Model() as model:
        observed = by.Minibatch(DATA, 20)
        pm.Normal("y", pm.Normal("mu"), 1, observed=observed, total_size=200)
    return compile_program(model)


def fit(
    program: Program, num_steps: int | None, report: Any = None, **options: Any
) -> Approximation:
    feeds = program_feeds(program, "epoch", 1)
    task = Task(program, program.start(1), 1, 1, feeds, report or (lambda _: None))
    defaults: dict[str, Any] = {
        "guide": MeanField(),
        "num_particles": 1,
        "optimizer": None,
        "tolerance": 0.1,
        "rotated": True,
    }
    return fit_stochastic(task, num_steps=num_steps, **(defaults | options))


def test_a_number_of_steps_is_run_and_recorded(program: Program) -> None:
    reported: list[float] = []
    found = fit(program, 600, reported.extend)
    assert found.converged is None
    assert found.reason == "600 steps were asked for"
    assert found.elbo.shape == found.rates.shape == (600,)
    # The ELBO is minus the loss, and the volume of the coordinates.
    np.testing.assert_allclose(found.elbo, found.frame.log_determinant - np.array(reported))
    assert found.path is not None
    assert found.path_steps is not None
    np.testing.assert_array_equal(found.path_steps, [450, 600])
    assert found.path.shape == (2, 1)
    assert found.latent is None


def test_too_few_steps_search_for_no_rate(program: Program) -> None:
    found = fit(program, 5)
    assert set(found.rates[:3]) == {0.025}


def stop_after(num_chunks: int, interruption: type[BaseException]) -> Any:
    chunks: list[int] = []

    def report(losses: np.ndarray) -> None:
        chunks.append(len(losses))
        if len(chunks) == num_chunks:
            raise interruption

    return report


@pytest.mark.parametrize(
    ("interruption", "reason"),
    [
        (StopIteration, "a callback stopped it after 512 steps"),
        (KeyboardInterrupt, "the keyboard stopped it after 512 steps"),
    ],
)
@pytest.mark.parametrize("num_steps", [900, None])
def test_an_interruption_ends_it_with_what_it_has(
    program: Program, num_steps: int | None, interruption: type[BaseException], reason: str
) -> None:
    found = fit(program, num_steps, stop_after(1, interruption))
    assert found.converged is False
    assert found.reason == reason
    assert len(found.elbo) == 512


def test_an_error_of_a_callback_is_raised(program: Program) -> None:
    with pytest.raises(MemoryError):
        fit(program, 900, stop_after(1, MemoryError))


def test_a_checkpoint_is_written_at_the_end_and_gone_on_from(
    program: Program, tmp_path: Path
) -> None:
    identity = {"n": 900, "random_seed": 1}
    file = Checkpoint(tmp_path / "checkpoint", 1e9, identity)
    stopped = fit(program, 900, stop_after(1, StopIteration), checkpoint=file)
    assert file.path.exists()
    again = open_checkpoint(file.path, 1e9, resume=True, identity=identity)
    assert again.recorded is not None
    reported: list[float] = []
    resumed = fit(program, 900, reported.extend, checkpoint=again)
    whole = fit(program, 900)
    np.testing.assert_array_equal(resumed.elbo, whole.elbo)
    np.testing.assert_array_equal(resumed.elbo[:512], stopped.elbo)
    # Recorded chunks are reported no second time.
    assert len(reported) == 900 - 512


def test_a_long_path_has_the_elements_that_moved_most() -> None:
    with pm.Model() as model:
        pm.Normal("a", np.linspace(0, 30, MAX_PATH + 1))
    found = fit(compile_program(model), 600, rotated=False)
    assert found.path is not None
    assert found.path_elements is not None
    assert found.path.shape[1] == SHORT_PATH == len(found.path_elements)
    assert (np.diff(found.path_elements) > 0).all()


def test_a_checkpoint_that_cannot_be_written_at_the_end_costs_no_fit(
    program: Program, tmp_path: Path
) -> None:
    file = Checkpoint(tmp_path / "gone" / "checkpoint", 1e9, {"n": 900, "random_seed": 1})
    with pytest.warns(
        UserWarning, match=r"end of the fit is not in the .*: .*\nHint: the fit itself"
    ):
        found = fit(program, 900, checkpoint=file)
    assert len(found.elbo) == 900
