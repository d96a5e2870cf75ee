"""The examples of the README run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_every_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) > 5
    names: dict[str, Any] = {}
    for block in blocks:
        if "cluster=" not in block:
            exec(block, names)
    assert {"fit", "predictions", "trace", "tree"} <= names.keys()


def test_lines_of_text_are_short() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith(("|", "!["))] == []
