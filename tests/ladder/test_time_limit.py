"""The seconds that a call may take."""

import math
import re
import time

import pytest

from bayou.ladder.time_limit import TimeLimit


def test_limit_is_over_after_its_budget() -> None:
    begin = time.monotonic()
    assert TimeLimit(5.0, begin - 5).is_over
    assert not TimeLimit(60.0, begin).is_over
    assert TimeLimit(60.0, begin).deadline == begin + 60


def test_no_budget_is_no_limit() -> None:
    limit = TimeLimit.of(None)
    assert limit.deadline == math.inf
    assert not limit.is_over


@pytest.mark.parametrize("budget", [0, -1, True, "long", math.nan])
def test_budget_is_checked(budget: object) -> None:
    with pytest.raises(ValueError, match=re.escape("number of seconds above 0, or None, got")):
        TimeLimit.of(budget)
