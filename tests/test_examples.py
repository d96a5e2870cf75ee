"""The examples beside the main job run, and find what they look for."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bayou as by

FOLDER = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def jax_loop() -> ModuleType:
    return example("jax_loop")


def test_the_plain_loop_finds_the_coefficients(
    jax_loop: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    jax_loop.main(steps=1500, num_rows=5000)
    printed = capsys.readouterr().out
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d*", printed)]
    np.testing.assert_allclose(numbers, [*jax_loop.SLOPES, jax_loop.INTERCEPT], atol=0.1)
    state = json.loads(printed.partition("Goes on from ")[2])
    assert state == {"random_seed": 1, "step": 1500}


def test_the_plain_loop_takes_the_steps_that_it_is_told(jax_loop: ModuleType) -> None:
    source = by.source(jax_loop.simulate(100))
    columns = {"x": ["x1", "x2", "x3"], "y": "y"}
    with by.Batches(source, 10, columns=columns, random_seed=1) as batches:
        params, state = jax_loop.fit(batches, 3)
    assert state["step"] == 3
    assert {name: value.shape for name, value in params.items()} == {
        "slopes": (3,),
        "intercept": (),
    }
