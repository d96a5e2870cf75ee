from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou.sources as by
from bayou.sources.derived.days import Days, DurationDays
from bayou.sources.derived.recoded import Recoded
from bayou.sources.derived.unknown_categories import Codes

WORDS = np.array(["b", "a", None, "c"], dtype=object)
COMPLETE = np.array(["b", "a", "a", "c"], dtype=object)


def recoded(values: Any, conversion: Any) -> Any:
    source = Recoded(by.source({"v": values}), {"made": ("v", conversion)})
    [table] = source.read(0, ["made"])
    taken = source.take(np.arange(len(values))[::-1].copy(), ["made"])
    np.testing.assert_array_equal(taken["made"][::-1], table["made"])
    assert table["made"].dtype == source.fields["made"].dtype
    return table["made"].tolist()


def test_text_becomes_codes_of_the_table() -> None:
    assert recoded(COMPLETE, Codes(("a", "b", "c"), "vs")) == [1, 0, 0, 2]
    assert recoded(COMPLETE, Codes(("c", "a", "x"), "vs", unknown="x")) == [2, 1, 1, 0]


def test_categories_become_codes_of_the_table() -> None:
    values = pd.Categorical(COMPLETE, ["c", "b", "a", "unused"])
    assert recoded(values, Codes(("a", "b", "c"), "vs")) == [1, 0, 0, 2]
    assert recoded(values, Codes(("c", "b", "a", "unused"), "vs")) == [1, 2, 2, 0]


def test_missing_text_is_told_by_its_code() -> None:
    field = by.Field("v", np.dtype(object))
    codes = Codes(("a", "b", "c"), "vs").convert(field, WORDS)
    assert codes.tolist() == [1, 0, -1, 2]
    other = Codes(("a", "other"), "vs", "other").convert(field, WORDS)
    assert other.tolist() == [1, 0, -1, 1]
    coded = by.Field("v", np.dtype(np.int32), (), ("c", "a"))
    assert Codes(("a", "c"), "vs").convert(coded, np.array([0, -1, 1])).tolist() == [1, -1, 0]


def test_fields_pass_as_they_are() -> None:
    inner = by.source({"x": np.arange(3.0), "v": ["a", "b", "a"]})
    source = Recoded(inner, {"x": ("x", None), "codes": ("v", Codes(("b", "a"), "vs"))})
    assert list(source.fields) == ["x", "codes"]
    assert source.fields["codes"].categories == ("b", "a")
    assert (source.num_rows, source.num_dropped, source.random_access) == (3, 0, True)
    assert source.blocks == inner.blocks
    copied = pickle.loads(pickle.dumps(source))
    [table] = copied.read(0, ["codes", "x"])
    assert list(table) == ["codes", "x"]
    assert table["codes"].tolist() == [1, 0, 1]


def test_all_unknown_categories_are_listed() -> None:
    source = Recoded(by.source({"v": COMPLETE}), {"v": ("v", Codes(("a",), "vs"))})
    message = r"^`v` must hold only categories of the dim 'vs', 'a', got 'b', 'c'\.\nHint: leave"
    with pytest.raises(ValueError, match=message):
        source.take(np.array([0]), ["v"])
    assert source.take(np.array([1]), ["v"])["v"].tolist() == [0]


@given(st.lists(st.integers(-(2**55), 2**55), min_size=1))
def test_days_are_exact_or_refused(microseconds: list[int]) -> None:
    moments = np.array(microseconds, dtype="M8[us]")
    try:
        days = recoded(moments, Days())
    except ValueError:
        # Beyond 2149, a day in float64 is not exact to a microsecond any more.
        assert max(map(abs, microseconds)) > 2**52
        return
    day = 86_400_000_000
    wholes, rests = np.divmod(days, 1.0)
    back = [int(whole) * day + round(rest * day) for whole, rest in zip(wholes, rests, strict=True)]
    assert back == microseconds


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
def test_days_of_every_unit(unit: str) -> None:
    moments = np.array(["1970-01-02", "NaT", "1969-12-31"], dtype=f"M8[{unit}]")
    np.testing.assert_array_equal(recoded(moments, Days()), [1.0, np.nan, -1.0])


@pytest.mark.parametrize(
    ("unit", "days"), [("W", 7), ("D", 1), ("h", 1 / 24), ("25s", 25 / 86400), ("ns", 1e-9 / 86400)]
)
def test_days_of_durations(unit: str, days: float) -> None:
    values = np.array([3, "NaT", -1], dtype=f"m8[{unit}]")
    expected = [3 * days, np.nan, -days]
    np.testing.assert_allclose(recoded(values, DurationDays()), expected, rtol=1e-15)


def test_durations_without_a_length_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`v` must hold durations with a length in days, got time"
    ):
        recoded(np.array([1], "m8[M]"), DurationDays())
    with pytest.raises(TypeError, match="`v` must be durations or times of day, got int64"):
        recoded([1, 2], DurationDays())


def test_dates_that_days_do_not_hold_are_refused() -> None:
    message = "^`v` must hold dates that days in float64 keep to a microsecond, got .*\nHint: round"
    for values in (np.array([1], dtype="M8[ns]"), np.array([2**55 + 1], dtype="M8[us]")):
        with pytest.raises(ValueError, match=message):
            recoded(values, Days())


def test_fields_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="`v` must be text or categories, codes of the dim 'vs'"):
        recoded([1, 2], Codes(("a",), "vs"))
    with pytest.raises(TypeError, match="`v` must be dates, got int64"):
        recoded([1, 2], Days())
    with pytest.raises(TypeError, match="`v` must be dates, got text"):
        recoded(["a", "b"], Days())
    with pytest.raises(ValueError, match="must be a field of the source, got 'v'"):
        Recoded(by.source({"v": [1]}), {"made": ("v", None)}).take(np.array([0]), ["v"])
