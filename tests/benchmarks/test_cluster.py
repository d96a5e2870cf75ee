"""benchmarks/cluster.py: each claim runs on a few data sets."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

type Script = Callable[[str], ModuleType]


@pytest.mark.usefixtures("two_cores")
def test_recovery_of_a_small_run(
    script: Script, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    cluster, many = script("cluster"), script("many")
    monkeypatch.setattr(many, "SETTINGS", many.SETTINGS | {"draws": 50, "tune": 50, "chains": 2})
    cluster.CLAIMS["recovery"](small=True)
    assert "recovery: 16 of 16 data sets" in capsys.readouterr().out
