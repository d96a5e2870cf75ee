"""benchmarks/rerun.py: all scripts are run, and those that wrote no figures are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
WRITES = (
    "import pathlib, sys\npathlib.Path(sys.argv[-1]).write_text('{\"figures\": %s}')\nsys.exit(1)\n"
)


@pytest.fixture
def rerun(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("rerun")


def test_every_job_is_a_script_that_writes_figures(rerun: ModuleType) -> None:
    files = [job.file for job in rerun.JOBS]
    assert len(set(files)) == len(files)
    for job in rerun.JOBS:
        assert "write_figures(" in (FOLDER / f"{job.script}.py").read_text(encoding="utf-8")


def test_small_runs_are_kept_apart_and_failures_are_named(
    rerun: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "good.py").write_text(WRITES % "[1]", encoding="utf-8")
    (tmp_path / "empty.py").write_text(WRITES % "[]", encoding="utf-8")
    (tmp_path / "bad.py").write_text("raise ValueError", encoding="utf-8")
    monkeypatch.setattr(rerun, "SCRIPTS", tmp_path)
    monkeypatch.setattr(rerun, "FOLDER", tmp_path)
    monkeypatch.setattr(rerun, "SMALL", tmp_path / "small")
    monkeypatch.setattr(rerun, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(rerun, "write_page", lambda: None)
    jobs = [("one", "good", ()), ("two", "good"), ("three", "bad"), ("four", "empty")]
    monkeypatch.setattr(rerun, "JOBS", tuple(rerun.Job(*job) for job in jobs))
    monkeypatch.setattr("sys.argv", ["rerun.py"])
    assert rerun.main() == 1
    assert (tmp_path / "one.json").exists()
    assert (tmp_path / "small" / "two.json").exists()
    assert capsys.readouterr().out.endswith("no figures from: three, four\n")
    assert "ValueError" in (tmp_path / "logs" / "three.log").read_text(encoding="utf-8")
