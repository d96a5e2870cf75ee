"""Data sets by their keys, from whatever holds them; and what cannot be data sets."""

from collections import UserDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.many.data_sets.by_key import check_key, is_table, read_data_sets
from tests.shops import SHOPS

DATA: dict[str, Any] = {"b": {"x": [1.0]}, "a": {"x": [2.0]}}


def test_mappings_and_iterables(model: pm.Model) -> None:
    for datasets, keys in (
        (DATA, ["b", "a"]),
        (UserDict(DATA), ["b", "a"]),
        (pd.Series(list(DATA.values()), index=list(DATA)), ["b", "a"]),
        (list(DATA.values()), [0, 1]),
        (DATA.values(), [0, 1]),
    ):
        found = read_data_sets(model, datasets, None)
        assert found.number == 2
        # That of the least key, or the first.
        assert found.first == DATA["a" if keys == ["b", "a"] else "b"]
        assert list(found) == list(zip(keys, DATA.values(), strict=True))


def test_an_iterator_is_read_as_it_is_asked_for(model: pm.Model) -> None:
    read: list[int] = []

    def items() -> Iterator[Any]:
        for number in range(3):
            read.append(number)
            yield {"x": [number]}

    found = read_data_sets(model, items(), None)
    assert (found.number, found.first, list(found.in_memory), read) == (None, None, [], [])
    pairs = iter(found)
    assert next(pairs) == (0, {"x": [0]})
    assert read == [0]


def test_errors_of_a_mapping_are_those_of_one_data_set(model: pm.Model) -> None:
    class Files(UserDict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            if key == "b":
                raise OSError("no such file")
            return super().__getitem__(key)

    (_, error), (_, values) = read_data_sets(model, Files(DATA), None)
    assert isinstance(error, OSError)
    assert values == DATA["a"]


def test_errors_of_an_iterable_say_where(model: pm.Model) -> None:
    def broken() -> Iterator[Any]:
        yield DATA["a"]
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file") as raised:
        list(read_data_sets(model, broken(), None))
    assert raised.value.__notes__[0].startswith("`datasets` raised this instead of item 1.\nHint")


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text()))
def test_keys_are_strings_or_whole_numbers(key: Any) -> None:
    assert check_key(key) == key
    assert check_key(key, key) == key


def test_keys_of_numpy_become_those_of_python() -> None:
    assert [type(check_key(key)) for key in (np.int8(1), np.str_("a"))] == [int, str]


def test_tables_have_named_columns() -> None:
    assert is_table(SHOPS)
    assert is_table({"x": [1.0]})
    assert not is_table([1.0])
    assert not is_table(lambda: SHOPS)


WRONG = {
    "a table alone": (SHOPS, {}, TypeError, "must come with `by=`"),
    "a mapping of columns": ({"price": [1.0]}, {}, TypeError, "got a list for 'price'"),
    "a number": (3, {}, TypeError, "got an int"),
    "keys of floats": ({1.5: {}}, {}, TypeError, "all strings or all whole numbers, got 1.5"),
    "mixed keys": ({"1": {}, 1: {}}, {}, TypeError, "got 1 after a str"),
    "several columns": (SHOPS, {"by": ["shop", "price"]}, TypeError, "of one column, got "),
    "by and a mapping": ({"a": SHOPS}, {"by": "shop"}, TypeError, "got a mapping of keys to data"),
    "pairs": (SHOPS.groupby("shop"), {}, TypeError, r"got a tuple as the first.\nHint: pass dict"),
    "pairs one by one": (
        ((key, rows) for key, rows in SHOPS.groupby("shop")),
        {},
        TypeError,
        r"got a tuple as the first.\nHint: pass dict",
    ),
    "a function": (
        {"a": lambda: SHOPS},
        {},
        TypeError,
        r"got a function for 'a'.\nHint: data sets are mappings",
    ),
    "a large key": ({2**63 + 1: {}, 5: {}}, {}, ValueError, "that int64 can hold"),
    "a large key in a table": (
        SHOPS.assign(shop=np.array([5, 5, 5, 5, 5, 2**63 + 1], np.uint64)),
        {"by": "shop"},
        ValueError,
        "that int64 can hold",
    ),
    "an index with a key twice": (
        pd.Series([{}, {}], index=["a", "a"]),
        {},
        ValueError,
        "'a' twice in the index",
    ),
    "none": ({}, {}, ValueError, "at least one data set, got none"),
    "another column": (SHOPS, {"by": "city"}, ValueError, "a column of the table, got 'city'"),
    "floats as keys": (SHOPS, {"by": "price"}, TypeError, "got float64 in 'price'"),
    "other columns": (SHOPS[["shop"]], {"by": "shop"}, ValueError, "got 'shop'"),
    "a missing key": (
        SHOPS.assign(shop=["a", None, "b", "a", "b", "b"]),
        {"by": "shop"},
        ValueError,
        "got 1 in 'shop'",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_refusals(model: pm.Model, case: str) -> None:
    data, settings, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        list(read_data_sets(model, data, settings.get("by")))
