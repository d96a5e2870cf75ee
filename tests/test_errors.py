from __future__ import annotations

import pytest

from bayou.errors import warn


def test_a_warning_points_at_the_line_outside_of_bayou() -> None:
    with pytest.warns(UserWarning, match=r"^Rows are few\.\nHint: pass more\.$") as caught:
        warn("Rows are few.\nHint: pass more.")
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_a_warning_has_the_class_that_it_is_given() -> None:
    with pytest.raises(FutureWarning, match=r"^This name goes"):
        warn("This name goes.", FutureWarning)
