"""A fixture of every kind of table."""

from typing import Any

import pytest

from tests.containers.tables import TABLES


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Any:
    return TABLES[request.param]()
