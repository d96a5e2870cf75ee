"""Figures as JSON, and the page of them: it is made from the files that are beside the script."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def figures(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("figures")
    monkeypatch.setattr(module, "_noted", [])
    return module


def test_the_page_is_that_of_the_files(figures: ModuleType) -> None:
    page = figures.page(figures.read_records(), figures.read_records(figures.SMALL))
    assert figures.PAGE.read_text(encoding="utf-8") == page


def test_what_was_noted_is_written_with_its_command(
    figures: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "passes.json"
    monkeypatch.setattr(
        "sys.argv", ["benchmarks/passes.py", "--small", "--json", str(path), "/a/b"]
    )
    parser = argparse.ArgumentParser()
    figures.add_json_option(parser)
    options, _ = parser.parse_known_args()
    figures.note("a step", "1.50", "1.25", met=False)
    figures.write_figures(options.json)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["command"] == "passes.py --small b"
    assert record["figures"] == [
        {"claim": "a step", "measured": "1.50", "wanted": "1.25", "met": False}
    ]
    shown = figures.page({"passes": record})
    assert "| a step | `passes.py --small b` | **1.50** | 1.25 |" in shown
    assert f"| `passes.py --small b` | {record['date']} |" in shown
