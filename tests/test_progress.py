from __future__ import annotations

import numpy as np
import pytest

from bayou.progress import data_set_progress, row_progress, step_progress


def test_steps_show_the_mean_elbo(capsys: pytest.CaptureFixture[str]) -> None:
    with step_progress(30, shown=True) as advance:
        advance(np.full(10, 9.0))
        advance(np.array([1000.0, 1002.0] * 10))
    shown = capsys.readouterr().err
    assert "30/30" in shown
    assert "ELBO -1,001.0" in shown


def test_an_unknown_number_of_steps_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with step_progress(None, shown=True) as advance:
        advance(np.ones(7))
    assert "7/?" in capsys.readouterr().err


def test_rows_go_on_from_those_that_are_done(capsys: pytest.CaptureFixture[str]) -> None:
    with row_progress("shuffle: reading", 2000, shown=True, num_done=900) as advance:
        advance(600)
    shown = capsys.readouterr().err
    assert "shuffle: reading" in shown
    assert "1,500/2,000 rows" in shown


def test_data_sets_count_those_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with data_set_progress(5, 1, shown=True) as advance:
        for failed in (False, True, True):
            advance(failed)
    shown = capsys.readouterr().err
    assert "4/5" in shown
    assert "2 failed" in shown


def test_nothing_is_shown_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with step_progress(3, shown=False) as steps, row_progress("x", 3, shown=False) as rows:
        steps(np.ones(3))
        rows(3)
    with data_set_progress(3, 0, shown=False) as data_sets:
        data_sets(True)
    assert capsys.readouterr().err == ""
