"""benchmarks/streaming.py: the exact answer, and times that are read off a fit and off batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bayou as by

type Script = Callable[[str], ModuleType]


@pytest.fixture
def streaming(script: Script) -> ModuleType:
    return script("streaming")


def test_rows_drift_and_the_answer_is_that_of_least_squares(streaming: ModuleType) -> None:
    x, y = streaming.sorted_rows(20_000)
    assert y[-2000:].mean() - y[:2000].mean() == pytest.approx(1.8, abs=0.2)
    mean, std = streaming.exact(x, y)
    design = np.column_stack([np.ones(len(x)), x])
    np.testing.assert_allclose(mean, np.linalg.lstsq(design, y, rcond=None)[0], atol=1e-4)
    np.testing.assert_allclose(std, 1 / np.sqrt(20_000), rtol=0.05)


def test_a_step_and_a_batch_have_a_time(
    streaming: ModuleType, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(streaming, "BATCH", 20)
    streaming.write_files(tmp_path / "rows", 20_000)
    source = by.scan(tmp_path / "rows")
    x = by.Minibatch(source[streaming.NAMES], 20)
    y = by.Minibatch(source[streaming.OUTCOME], 20)
    assert 0 < streaming.step_seconds(x, y, 20_000, 3) < 0.1
    assert 0 < streaming.reading_seconds(source, 5000, 20_000, 2) < 0.1
