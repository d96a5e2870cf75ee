"""Tables that fit the terminal, and JSON that any program reads."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayou.cli.printed import SHOWN_ELEMENTS, print_json, print_lines, print_summary, records


def test_a_narrow_terminal_hides_columns_and_folds_no_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"mean": [-1.54321], "sd": [0.018432], "eti89_lb": [-1.57], "eti89_ub": 2})
    table.index = ["a[AA]"]
    monkeypatch.setenv("COLUMNS", "100")
    print_summary(table)
    assert ["a[AA]", "-1.543", "0.01843", "-1.57", "2"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]
    monkeypatch.setenv("COLUMNS", "36")
    print_summary(table)
    shown = capsys.readouterr().out
    assert ["a[AA]", "-1.543", "0.01843"] in [line.split() for line in shown.splitlines()]
    assert "hidden in a narrow terminal:" in shown
    assert "eti89_lb, eti89_ub" in shown
    assert max(map(len, shown.splitlines())) <= 36


def test_lines_are_wrapped_between_words_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    path = "/a-folder/with-hyphens/and-a-long-name.fit"
    print_lines(["verdict: good: no moment is off by much", f"result: {path}"])
    assert capsys.readouterr().out.splitlines() == [
        "verdict: good: no moment is",
        "off by much",
        "result:",
        path,
    ]


def test_many_elements_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    number = SHOWN_ELEMENTS + 1200
    print_summary(
        pd.DataFrame({"mean": np.zeros(number)}, index=[f"a[{n}]" for n in range(number)])
    )
    assert "and 1,200 more elements: --json has them" in capsys.readouterr().out


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": np.float64("nan"), "b": (1, np.int64(2)), "c": {3: float("inf")}, "d": None})
    assert json.loads(capsys.readouterr().out) == {
        "a": None,
        "b": [1, 2],
        "c": {"3": None},
        "d": None,
    }


def test_records_are_numbers() -> None:
    table = pd.DataFrame({"mean": ["1.5"], "sd": [2.0]}, index=["a"])
    assert records(table) == {"a": {"mean": 1.5, "sd": 2.0}}
