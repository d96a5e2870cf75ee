"""The argument `model`, and the model of the context."""

from __future__ import annotations

from typing import Any

import pymc as pm
import pytest

from bayou.models.context import model_of


def test_a_model_wins_over_the_context() -> None:
    model = pm.Model()
    with pm.Model() as context:
        assert model_of(None) is context
        assert model_of(model) is model
        with model:
            assert model_of(None) is model
    assert model_of(model) is model


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (None, "be passed outside of a `with model:` block"),
        ("model", "be a PyMC model"),
        (3, "be a PyMC model"),
    ],
)
def test_what_is_no_model_is_refused(value: Any, rule: str) -> None:
    message = rf"^`model` must {rule}, got {value!r}\.\nHint: call"
    with pytest.raises(TypeError, match=message):
        model_of(value)
