"""Fits with offsets: which come, and their draws as positions of the model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

from bayou.density.build import compile_like, compile_program
from bayou.fitting.checks import non_centred_fit
from bayou.fitting.checks.non_centred_fit import NonCentredFit, non_centred_fits
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.task import Task
from bayou.models.non_centred import non_centred_model


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        pm.Normal("known", 1, scale, shape=2)
        pm.Normal("unknown", 2, 3 * scale, shape=2)
    return model


def test_draws_are_positions_of_the_model(model: pm.Model) -> None:
    program = compile_program(model)
    shapes = dict(zip(program.layout.names, program.layout.shapes, strict=True))
    written = non_centred_model(model, ("known", "unknown"), shapes)
    fitted: Any = NonCentredFit(compile_like(written.model, program), None, written.names)  # type: ignore[arg-type]
    positions = np.array([[0.0, 1.0, -1.0, 0.5, 2.0], [np.log(2.0), 1.0, 0.0, 1.0, 0.0]])
    moved = fitted.model_positions(program, positions)
    np.testing.assert_allclose(moved, [[0, 2, 0, 3.5, 8], [np.log(2), 3, 1, 8, 2]])
    np.testing.assert_array_equal(positions[0], [0, 1, -1, 0.5, 2])


def test_offsets_that_are_known_are_left_out(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(task: Task, _: None) -> Any:
        logs = np.log([0.1, 0.2, 0.2, 0.9, 0.8])
        return SimpleNamespace(
            guide=MeanField(),
            params=MeanFieldParams(jnp.zeros(5), jnp.asarray(logs)),
            frame=Frame(np.zeros(5), np.ones(5)),
            converged=True,
            interrupted=False,
            names=task.program.layout.names,
        )

    monkeypatch.setattr(non_centred_fit, "fit_fixed_draws", fit)
    monkeypatch.setattr(non_centred_fit, "correct_stds", lambda _, fitted, required: fitted)
    program = compile_program(model)
    task = Task(program, program.start(1), 1, 1, (), lambda _: None)
    every, some = non_centred_fits(task, model)
    assert every.names == ("known", "unknown")
    assert some.names == ("unknown",)
    assert some.program.layout.names == ("scale_log__", "known", "unknown_offset")


def test_models_without_hierarchies_have_none() -> None:
    with pm.Model() as model:
        pm.Normal("x")
    program = compile_program(model)
    task = Task(program, program.start(1), 1, 1, (), lambda _: None)
    assert list(non_centred_fits(task, model)) == []
