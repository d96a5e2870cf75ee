"""A fixture of every kind of source."""

from pathlib import Path

import pytest

import bayou as by
from tests.containers.row_sources import SOURCES


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> by.Source:
    return SOURCES[request.param](tmp_path)
