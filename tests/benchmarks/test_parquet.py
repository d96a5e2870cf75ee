"""benchmarks/parquet.py: files, rows that are counted, and targets read off times and peaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

type Script = Callable[[str], ModuleType]


@pytest.fixture
def parquet(script: Script) -> ModuleType:
    return script("parquet")


def test_small_is_few_rows_without_peers(parquet: ModuleType) -> None:
    small, full = parquet.parse(["--small"]), parquet.parse([])
    assert small.rows == [1_000_000, 2_000_000]
    assert full.rows == [5_000_000, 20_000_000, 50_000_000]


def test_files_hold_the_rows(parquet: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(parquet, "FILE_ROWS", 500)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 100)
    parquet.write_files(tmp_path / "rows", 1_200)
    metadata = [pq.read_metadata(path) for path in sorted((tmp_path / "rows").iterdir())]
    assert [file.num_rows for file in metadata] == [500, 500, 200]
    assert {file.num_columns for file in metadata} == {21}
    assert metadata[0].num_row_groups == 5
    advance = parquet.decode(tmp_path / "rows")
    advance(15)


def test_rows_beyond_a_step_count_for_the_next(parquet: ModuleType, monkeypatch: Any) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 10)
    taken = []
    advance = parquet.draw(taken.append(1) or np.zeros((6, 2)) for _ in range(100))
    for expected in (2, 4, 5, 7):
        advance(1)
        assert len(taken) == expected


def test_targets_of_speed_are_ratios_of_rates(parquet: ModuleType, script: Script) -> None:
    cost = script("peers").Cost
    times = {"bayou": [cost(1, 1)], "decode": [cost(0.7, 1)], "pymc-extras": [cost(7, 1)]}
    decode, peer = parquet.speed_targets(times)
    assert (decode.measured, decode.met) == (0.7, False)
    assert (peer.measured, peer.met) == (7, True)
    assert len(parquet.speed_targets({"bayou": [cost(1, 1)], "decode": [cost(1, 1)]})) == 1


def test_targets_of_memory_are_on_top_of_the_rows(
    parquet: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    window = parquet.RESIDENT * parquet.ROW_BYTES
    peaks = {("reading", 5): window + 5 * 10**8, ("reading", 50): window + 7 * 10**8}
    few, many, flat = parquet.memory_targets(peaks)
    assert (few.measured, few.met) == (500, True)
    assert (many.measured, many.met) == (700, False)
    assert not flat.met
    assert not parquet.met([few, many, flat])
    assert "at most 600: missed" in capsys.readouterr().out
