from __future__ import annotations

from pathlib import Path

import pytest

import bayou.errors
from bayou.errors import failure_text, warn, warning_of_failure


def test_a_warning_points_at_the_line_outside_of_bayou() -> None:
    with pytest.warns(UserWarning, match=r"^Rows are few\.\nHint: pass more\.$") as caught:
        warn("Rows are few.\nHint: pass more.")
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_a_warning_has_the_class_that_it_is_given() -> None:
    with pytest.raises(FutureWarning, match=r"^This name goes"):
        warn("This name goes.", FutureWarning)


@pytest.mark.filterwarnings("default")
def test_a_warning_points_at_a_neighbour_whose_name_begins_like_bayou() -> None:
    neighbour = str(Path(bayou.errors.__file__).parent) + "_user.py"
    call = compile("warn('Rows are few.')", neighbour, "exec")
    with pytest.warns(UserWarning, match=r"^Rows are few\.$") as caught:
        exec(call, {"warn": warn})
    assert caught[0].filename == neighbour


def test_a_failure_becomes_a_warning() -> None:
    with (
        pytest.warns(UserWarning, match=r"^No table: ZeroDivisionError: by zero\.\nHint: count\.$"),
        warning_of_failure("No table", "count."),
    ):
        raise ZeroDivisionError("by zero.\nMore.")
    with pytest.raises(KeyboardInterrupt), warning_of_failure("No table", "count."):
        raise KeyboardInterrupt
    assert failure_text(ValueError()) == "ValueError"
