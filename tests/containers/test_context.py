"""The argument `model`, and the model of the context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymc as pm
import pytest
from pymc.model.transform.optimization import freeze_model

from bayou.containers.context import model_of


@dataclass
class _HasModel:
    """As a model of PyMC-Marketing is before it is built, if it has none."""

    model: Any = None

    def build_model(self) -> None:
        self.model = pm.Model()


@dataclass
class _HasBackend:
    """As a model of Bambi is: its backend is set when it is built."""

    backend: Any = None

    def build(self) -> None:
        self.backend = _HasModel(pm.Model())


def test_a_model_wins_over_the_context() -> None:
    model = pm.Model()
    with pm.Model() as context:
        assert model_of(None) is context
        assert model_of(model) is model
        with model:
            assert model_of(None) is model
    assert model_of(model) is model


def test_frozen_model_is_a_model() -> None:
    with pm.Model() as model:
        pm.Normal("mu")
    frozen = freeze_model(model)
    assert model_of(frozen) is frozen
    with frozen:
        assert model_of(None) is frozen


def test_object_of_a_library_stands_for_its_model() -> None:
    of_bambi, of_marketing = _HasBackend(), _HasModel()
    of_bambi.build()
    of_marketing.build_model()
    assert model_of(of_bambi) is of_bambi.backend.model
    assert model_of(of_marketing) is of_marketing.model
    # HSSM has a model of Bambi.
    assert model_of(_HasModel(of_bambi)) is of_bambi.backend.model


@pytest.mark.parametrize(
    ("value", "method"), [(_HasBackend(), r"build\(\)"), (_HasModel(), r"build_model\(\.\.\.\)")]
)
def test_object_that_has_not_built_its_model_is_refused(value: Any, method: str) -> None:
    name = type(value).__name__
    message = (
        rf"^`model` must be built, got a {name} of tests that is not\.\nHint: call its `{method}`"
    )
    with pytest.raises(ValueError, match=message):
        model_of(value)


def test_call_outside_of_any_model_is_refused() -> None:
    message = r"^`model` must be passed outside of a `with model:` block, got None\.\nHint: write"
    with pytest.raises(TypeError, match=message):
        model_of(None)


@pytest.mark.parametrize("value", ["model", 3, pm.Model, _HasModel])
def test_what_is_no_model_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^`model` must be a PyMC model, got {value!r}\.\nHint: "):
        model_of(value)
