"""Checkpoints: a fit that is stopped anywhere ends with the bits of one that never was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytest

import bayou as by
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.stochastic.advi import ADAM
from bayou.fitting.stochastic.checkpoint import Checkpoint, open_checkpoint
from bayou.fitting.stochastic.fit_state import FitState
from bayou.fitting.stochastic.steps import Chunk, Recipe, init_state

DATA = np.random.default_rng(0).normal(2.0, 1.0, size=3000)


def model_of(data: np.ndarray = DATA, *, scale: float = 1.0) -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, scale, observed=by.Minibatch(data, 50), total_size=len(data))
    return model


MODEL = model_of()  # One model, so that all of these compile it once.


def stop_after(num_steps: int) -> Any:
    def callback(done: int, losses: np.ndarray) -> None:
        if done >= num_steps:
            raise StopIteration

    return callback


def run(path: Path | None, model: pm.Model | None = None, **kwargs: Any) -> by.Fit:
    options = {"n": 3000, "random_seed": 1, "correction": None, "progressbar": False}
    return by.fit(model=model or MODEL, checkpoint=path, checkpoint_seconds=0, **(options | kwargs))


@pytest.mark.parametrize("stopped_at", [1, 700, 2999])
@pytest.mark.parametrize("method", ["advi", "auto"])
def test_a_resumed_fit_is_the_fit_that_never_stopped(
    tmp_path: Path, stopped_at: int, method: str
) -> None:
    path = tmp_path / "fit.checkpoint"
    whole = run(None, method=method)
    with pytest.warns(by.ConvergenceWarning, match="a callback stopped it after"):
        run(path, method=method, callback=stop_after(stopped_at))
    resumed = run(path, method=method, resume=True)
    np.testing.assert_array_equal(resumed.elbo, whole.elbo)
    assert resumed.mean.equals(whole.mean)
    assert resumed.std.equals(whole.std)


def test_a_crash_loses_no_more_than_since_the_last_write(tmp_path: Path) -> None:
    def crash(done: int, losses: np.ndarray) -> None:
        if done >= 1500:
            raise MemoryError

    path = tmp_path / "fit.checkpoint"
    with pytest.raises(MemoryError):
        run(path, callback=crash)
    resumed = run(path, resume=True)
    np.testing.assert_array_equal(resumed.elbo, run(None).elbo)


def test_an_automatic_fit_resumes_across_rates(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint"
    whole = run(None, n="auto")
    with pytest.warns(by.ConvergenceWarning):
        run(path, n="auto", callback=stop_after(9000))
    resumed = run(path, n="auto", resume=True)
    assert resumed.reason == whole.reason
    np.testing.assert_array_equal(resumed.elbo, whole.elbo)
    assert resumed.mean.equals(whole.mean)


def test_a_generator_is_brought_to_its_place(tmp_path: Path) -> None:
    def items() -> Iterator[np.ndarray]:
        random = np.random.default_rng(3)
        while True:
            yield random.choice(DATA, 50)

    variable = by.generator(items())
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=variable, total_size=len(DATA))

    def begin(**kwargs: Any) -> by.Fit:
        variable.set_gen(items())
        return run(model=model, **kwargs)

    path = tmp_path / "fit.checkpoint"
    whole = begin(path=None)
    with pytest.warns(by.ConvergenceWarning):
        begin(path=path, callback=stop_after(1000))
    resumed = begin(path=path, resume=True)
    # What was gathered ahead of the stop is gathered again, not lost.
    np.testing.assert_array_equal(resumed.elbo, whole.elbo)


@pytest.mark.parametrize(("method", "rotated"), [("auto", True), ("fullrank_advi", False)])
def test_a_file_of_0_1_goes_on_in_its_own_coordinates(
    tmp_path: Path, method: str, rotated: bool
) -> None:
    identity = {"method": method, "random_seed": 1}
    Checkpoint(tmp_path / "file", 0, identity).write(finished())
    now = identity | {"rotated": True}
    again = open_checkpoint(tmp_path / "file", 0, resume=True, identity=now)
    assert again.identity == now | {"rotated": rotated}


def finished() -> FitState:
    """Return the progress of one chunk."""
    params = MeanFieldParams(jnp.zeros(1), jnp.zeros(1))
    state = init_state(Recipe(MeanField(), ADAM), params)
    progress = FitState(Frame(np.zeros(1), np.ones(1)), state)
    progress.add(Chunk(state, params, np.zeros(8)), np.full(8, 0.1), np.zeros(1))
    return progress


def test_an_unnamed_seed_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint"
    with pytest.warns(by.ConvergenceWarning):
        stopped = run(path, random_seed=None, callback=stop_after(1000))
    resumed = run(path, random_seed=None, resume=True)
    np.testing.assert_array_equal(resumed.elbo[:1000], stopped.elbo[:1000])


def test_resume_without_a_file_begins(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint"
    fit = run(path, resume=True)
    assert path.exists()
    assert fit.mean.equals(run(None).mean)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"model": model_of(scale=2.0)}, "model"),
        ({"model": model_of(DATA + 1)}, "data"),
        ({"n": 4000}, "n"),
        ({"method": "fullrank_advi"}, "method"),
        ({"order": "uniform"}, "order"),
        ({"num_particles": 2}, "num_particles"),
        ({"tolerance": 0.2}, "tolerance"),
        ({"random_seed": 2}, "random_seed"),
        ({"optimizer": optax.adam(0.1)}, "optimizer"),
    ],
)
def test_another_fit_is_refused_by_name(tmp_path: Path, change: Any, name: str) -> None:
    path = tmp_path / "fit.checkpoint"
    with pytest.warns(by.ConvergenceWarning):
        run(path, callback=stop_after(1))
    with pytest.raises(ValueError, match=rf"to resume, got another {name}: .*\nHint: pass"):
        run(path, resume=True, **change)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (optax.adam(0.01), True),
        (optax.adam(0.02), False),
        (optax.sgd(0.01), False),
        (optax.adam(optax.cosine_decay_schedule(0.01, 100)), False),
    ],
)
def test_optimisers_are_told_apart(
    tmp_path: Path, other: optax.GradientTransformation, same: bool
) -> None:
    path = tmp_path / "fit.checkpoint"
    with pytest.warns(by.ConvergenceWarning):
        run(path, callback=stop_after(1), optimizer=optax.adam(0.01))
    if same:
        assert run(path, resume=True, optimizer=other).elbo.shape == (3000,)
    else:
        with pytest.raises(ValueError, match="got another optimizer"):
            run(path, resume=True, optimizer=other)


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint"
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"must be a new file unless `resume=True`"):
        run(path)
    with pytest.raises(
        ValueError, match=r"`checkpoint` must be a file that bayou .* cannot be read"
    ):
        run(path, resume=True)
    assert path.read_text() == "precious"


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match=r"`resume` must come with `checkpoint`"):
        run(None, resume=True)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=DATA)
    with pytest.raises(ValueError, match=r"`checkpoint` must be left out with fixed draws"):
        by.fit(model=model, checkpoint="never", progressbar=False)


def test_no_file_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint"
    run(path)
    assert list(tmp_path.iterdir()) == [path]
