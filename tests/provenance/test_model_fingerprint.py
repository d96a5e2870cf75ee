"""Fingerprints of variables: they differ if the definitions do, and not with the data."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest

import bayou as by
from bayou.provenance import model_fingerprint
from bayou.provenance.model_fingerprint import variable_fingerprints

ROWS = np.arange(5.0)


def regression(**changes: Any) -> pm.Model:
    """A model of everything that a definition may say; each change is of one part of it."""
    given = {
        "sd": 1.0,
        "power": 2,
        "weights": np.array([0.5, 0.5]),
        "length": 2,
        "rows": ROWS,
        "cost": -1.0,
        "scale": 1.0,
        "factor": 1.0,
    } | changes
    with pm.Model(coords={"group": range(given["length"])}) as model:
        x = by.Data("x", given["rows"], dims="row")
        y = by.Data("y", given["rows"], dims="row")
        b = pm.Normal("b", 0, given["sd"], dims="group")
        shaped = pm.Normal("shaped", shape=given["length"])
        mean = pm.Deterministic("mean", b[0] * x ** given["power"], dims="row")
        pm.NormalMixture("mixed", given["weights"], [0.0, b[1]], 1.0, observed=given["rows"])
        pm.Normal("plain", b.sum(), 1, observed=given["rows"])
        pm.CustomDist("custom", b[0], logp=lambda value, mu: given["cost"] * (value - mu) ** 2)
        pm.CustomDist("symbolic", b[0], dist=_exponential(given["scale"]))
        steps = pytensor.scan(
            lambda row, b: row * b[0] * given["factor"],
            sequences=[x],
            non_sequences=[b],
            return_updates=False,
        )
        pm.Deterministic("total", steps.sum())
        pm.Potential("penalty", -given["scale"] * shaped.sum())
        pm.Normal("obs", mean, 1, observed=y, dims="row")
    return model


def _exponential(scale: float) -> Any:
    return lambda mu, size: pm.math.exp(pm.Normal.dist(mu, scale, size=size))


def changed(**changes: Any) -> list[str]:
    before, after = (
        variable_fingerprints(regression()),
        variable_fingerprints(regression(**changes)),
    )
    assert before.keys() == after.keys()
    return [name for name in before if before[name] != after[name]]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"sd": 2.0}, ["b"]),
        ({"power": 3}, ["mean"]),
        ({"weights": np.array([0.4, 0.6])}, ["mixed"]),
        ({"cost": -2.0}, ["custom"]),
        ({"scale": 2.0}, ["symbolic", "penalty"]),
        ({"factor": 2.0}, ["total"]),
        ({"rows": ROWS[:3]}, []),
        ({"rows": ROWS + 1}, []),
    ],
)
def test_a_definition_differs_alone(change: dict[str, Any], names: list[str]) -> None:
    assert changed(**change) == names


def test_lengths_of_free_variables_are_of_them() -> None:
    assert changed(length=3) == ["shaped"]  # "b" has the length of its dim, whatever that is.


def test_a_copy_of_a_model_says_the_same() -> None:
    model = regression()
    assert variable_fingerprints(model.copy()) == variable_fingerprints(model)


def test_sizes_and_seeds_of_batches_are_no_part() -> None:
    def model(batch_size: int, seed: int) -> pm.Model:
        with pm.Model() as model:
            x = by.Minibatch(ROWS, batch_size, random_seed=seed)
            pm.Normal("y", pm.Normal("mu"), 1, observed=x, total_size=len(ROWS))
        return model

    assert variable_fingerprints(model(2, 1)) == variable_fingerprints(model(3, 2))


def test_total_size_is_a_part() -> None:
    def model(total_size: int) -> pm.Model:
        with pm.Model() as model:
            x = by.Minibatch(ROWS, 2)
            pm.Normal("y", pm.Normal("mu"), 1, observed=x, total_size=total_size)
        return model

    before, after = variable_fingerprints(model(5)), variable_fingerprints(model(6))
    assert [name for name in before if before[name] != after[name]] == ["y"]


@pytest.mark.slow
def test_two_processes_agree() -> None:
    """Whatever Python's hashes and PyTensor's mode are, and wherever objects lie in memory."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_model_fingerprint as here\n"
        "print(here.variable_fingerprints(here.regression()))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTENSOR_FLAGS": "cxx="}
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert other.stdout.strip() == str(variable_fingerprints(regression()))


def test_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    model = regression()

    def compile_nothing(*unused: Any, **unused_options: Any) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(pytensor, "function", compile_nothing)
    assert variable_fingerprints(model)


@pytest.mark.parametrize(
    "observe",
    [
        lambda rate, **o: pm.Truncated("o", pm.Poisson.dist(rate), lower=1, **o),
        lambda rate, **o: pm.Truncated("o", pm.Gamma.dist(2, rate), lower=1, **o),
        lambda rate, **o: pm.Censored("o", pm.Exponential.dist(rate), lower=None, upper=3, **o),
        lambda rate, **o: pm.HurdlePoisson("o", 0.5, rate, **o),
        lambda rate, **o: pm.HurdleGamma("o", 0.5, rate, 1.0, **o),
    ],
    ids=["rejection", "quantiles", "censored", "hurdle", "hurdle of reals"],
)
def test_an_operation_without_a_signature_has_a_fingerprint(observe: Any) -> None:
    def fingerprints(rows: int, prior: float) -> dict[str, str]:
        with pm.Model() as model:
            observe(
                pm.Exponential("rate", prior) + 0.5 * (prior - 1), observed=np.arange(1, rows + 1)
            )
        return variable_fingerprints(model)

    assert fingerprints(3, 1) == fingerprints(5, 1)
    assert fingerprints(3, 1)["o"] != fingerprints(3, 2)["o"]


def test_a_density_that_fails_alone_costs_no_fingerprint() -> None:
    def picky(value: Any, mu: Any) -> Any:
        if mu.owner is None:
            raise ValueError("mu must be computed")
        return -((value - mu) ** 2)

    with pm.Model() as model:
        pm.CustomDist("picky", pm.Normal("b") + 1, logp=picky, observed=[1.0])
    message = r"^The density of 'picky' has no fingerprint: ValueError: mu must.*\nHint: by\.verify"
    with pytest.warns(UserWarning, match=message):
        assert set(variable_fingerprints(model)) == {"b", "picky"}


def test_a_graph_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.HalfNormal("s"), observed=[1.0])
    read = model_fingerprint._operation_text

    def fail(op: Any) -> str:
        if op is model["s"].owner.op:
            raise NotImplementedError("No signature.")
        return read(op)

    monkeypatch.setattr(model_fingerprint, "_operation_text", fail)
    with pytest.warns(
        UserWarning, match=r"of 's' has no fingerprint: NotImpl.*: No signature\.\nHint"
    ):
        assert list(variable_fingerprints(model)) == ["y"]
