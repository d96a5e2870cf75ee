from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preparation.numbered_rows import Halt, Rows, order_of, run


@pytest.fixture(scope="package", autouse=True)
def synced() -> Iterator[list[int]]:
    """Count the flushes to the disk in place of waiting for them."""
    calls: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", calls.append)
        yield calls


@pytest.fixture(scope="package")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The order of 100 rows by seed 1."""
    return order_of(run(Rows([100]), tmp_path_factory.mktemp("expected") / "rows"))


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """The path of a shuffle of 100 rows that was stopped."""

    def fault(row: int) -> None:
        if row == 70:
            raise Halt

    with pytest.raises(Halt):
        run(Rows([50, 50], 5, fault=fault), tmp_path / "rows", memory=800)
    return tmp_path / "rows"
