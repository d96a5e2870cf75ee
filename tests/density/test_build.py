"""Programs are built once for a model and all else that they depend on."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor

import bayou as by
from bayou.density.build import compile_program
from bayou.density.program import LatentRows


def simple_model() -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(np.arange(6.0), 3)
        pm.Deterministic("of_batch", mu * batch)
        pm.Normal("y", mu, 1, observed=batch, total_size=6)
    return model


def test_a_program_is_of_all_arguments_it_was_built_with() -> None:
    model, written = simple_model(), simple_model()
    latent = LatentRows((), by.Minibatch(np.arange(6), 3))
    plain = compile_program(model)
    other = {
        "feeds_all_rows": compile_program(model, feeds_all_rows=True),
        "written": compile_program(model, written=written),
        "batching": compile_program(model, batching=(3, "row")),
        "latent": compile_program(model, latent=latent),
    }
    assert len({id(program) for program in [plain, *other.values()]}) == 5
    assert not plain.feeds_all_rows
    assert other["feeds_all_rows"].feeds_all_rows
    assert other["feeds_all_rows"].constrains_rows
    assert other["batching"].batching == (3, "row")
    assert other["latent"].latent is latent
    assert other["written"].options.written() is written
    # Each is still known, whatever was built after it.
    assert compile_program(model) is plain
    assert compile_program(model, batching=(3, "row")) is other["batching"]
    assert compile_program(model, written=model) is plain


def test_a_changed_whole_number_is_built_again() -> None:
    power = pytensor.shared(2, name="power")
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu**power, 1, observed=np.ones(3))
    program = compile_program(model)
    assert program.lengths == ((power, 2),)
    power.set_value(3)
    changed = compile_program(model)
    assert changed is not program
    assert changed.lengths == ((power, 3),)
