"""Nulls are refused with their row, or their rows are told from complete ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sources.base.nulls import check_nulls, complete_rows, without_nulls


@pytest.mark.parametrize("nulls", ["refuse", "drop"])
def test_known_ways_pass(nulls: str) -> None:
    check_nulls(nulls)


@pytest.mark.parametrize("nulls", ["keep", "", None, True])
def test_other_ways_are_refused(nulls: object) -> None:
    message = r"^`nulls` must be one of 'refuse', 'drop', got .*\nHint: \"refuse\" makes a null an"
    with pytest.raises(ValueError, match=message):
        check_nulls(nulls)  # type: ignore[arg-type]


@pytest.mark.parametrize("null", [None, np.zeros(3, bool)])
def test_values_without_nulls_are_returned_as_they_are(null: np.ndarray | None) -> None:
    values = np.arange(3)
    assert without_nulls("x", (values, null), 10) is values


def test_first_null_is_named_by_its_row() -> None:
    masked = np.arange(4), np.array([False, False, True, True])
    message = r"^`x` must have no nulls, got one in row 102 of a\.csv\.\nHint: fill it in"
    with pytest.raises(ValueError, match=message):
        without_nulls("x", masked, 100, "a.csv")
    with pytest.raises(ValueError, match=r"got one in row 2\.\n"):
        without_nulls("x", masked, 0)


@given(
    columns=st.integers(0, 6).flatmap(
        lambda rows: st.lists(
            st.none() | st.lists(st.booleans(), min_size=rows, max_size=rows), max_size=4
        ).map(lambda nulls: (rows, nulls))
    )
)
def test_a_row_is_complete_if_no_field_is_null_in_it(
    columns: tuple[int, list[list[bool] | None]],
) -> None:
    num_rows, nulls = columns
    complete = complete_rows([None if n is None else np.array(n, bool) for n in nulls], num_rows)
    expected = [not any(n[row] for n in nulls if n is not None) for row in range(num_rows)]
    assert complete.dtype == bool
    assert complete.tolist() == expected
