"""The model of the shops, which the tests of many data sets share."""

import pymc as pm
import pytest

from tests.shops import shop_model


@pytest.fixture(scope="session")
def model() -> pm.Model:
    """Return the model of the shops, compiled once in a session."""
    return shop_model()
