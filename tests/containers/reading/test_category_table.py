"""Categories: what codes stand for, in new data too; unknown and missing ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pymc as pm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayou as by
from bayou.containers.data import Data
from bayou.containers.reading.category_table import category_table, check_codes
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.new_columns import read_all_rows
from bayou.containers.set_data import set_data
from bayou.sources.base.field import Field
from tests.containers.helpers import categories_refuse

WORDS = ["UA", "AA", "UA", "B6"]
COLUMNS = {
    "str": (pd.Series(WORDS), ("AA", "B6", "UA")),
    "objects": (np.array(WORDS, dtype=object), ("AA", "B6", "UA")),
    "fixed width": (np.array(WORDS), ("AA", "B6", "UA")),
    "polars str": (pl.Series(WORDS), ("AA", "B6", "UA")),
    "pandas categorical": (
        pd.Categorical(WORDS, ["UA", "DL", "B6", "AA"]),
        ("UA", "DL", "B6", "AA"),
    ),
    "pandas numbers": (pd.Categorical([3, 1, 3, 2]), ("1", "2", "3")),
    "polars enum": (pl.Series(WORDS, dtype=pl.Enum(["B6", "UA", "AA"])), ("B6", "UA", "AA")),
    "polars categorical": (pl.Series(WORDS, dtype=pl.Categorical), None),
    "dictionary": (pa.array(WORDS).dictionary_encode(), ("UA", "AA", "B6")),
    "large strings": (pa.array(WORDS, pa.large_string()), ("AA", "B6", "UA")),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_codes_stand_for_the_categories(column: str) -> None:
    values, expected = COLUMNS[column]
    with pm.Model() as model:
        codes = Data("x", {"carrier": values}, columns="carrier", dims="row", categories="carriers")
    table = model.coords["carriers"]
    if expected is not None:
        assert table == expected
    assert codes.dtype == "int32"
    words = [table[code] for code in codes.get_value()]
    assert words == (["3", "1", "3", "2"] if column == "pandas numbers" else WORDS)
    assert columns_of(codes).categories == table
    assert model.dim_lengths["carriers"].eval() == len(table)


@settings(max_examples=40)
@given(st.lists(st.text(max_size=3), min_size=1), st.randoms(use_true_random=False))
def test_new_data_are_coded_by_the_same_table(words: list[str], random: Any) -> None:
    with pm.Model() as model:
        codes = Data("x", {"word": words}, columns="word", categories="words")
        table = model.coords["words"]
        assert table == tuple(sorted(set(words)))
        order = list(table)
        random.shuffle(order)
        set_data({"word": pd.Categorical(words[::-1], order)})
    assert [table[code] for code in codes.get_value()] == words[::-1]
    assert model.coords["words"] == table


@pytest.mark.parametrize(
    "values",
    [
        ["AA", "DL", "AS"],
        pd.Categorical(["AA", "DL", "AS"], ["DL", "AA", "AS", "unused"]),
        pl.Series(["AA", "DL", "AS"], dtype=pl.Enum(["AA", "AS", "DL"])),
    ],
)
def test_unknown_categories_are_refused_with_all_of_them(values: Any) -> None:
    with pm.Model() as model:
        codes = Data("x", {"carrier": WORDS}, columns="carrier", dims="row", categories="carriers")
        message = (
            r"^`carrier` must hold only categories of the dim 'carriers', 'AA', 'B6', 'UA', got "
            r"'AS', 'DL'\.\nHint: leave out such rows, or build the model with all categories, "
            r"pm\.Model\(coords={'carriers': \[\.\.\.\]}\), or the container with unknown='other'"
        )
        with pytest.raises(ValueError, match=message):
            set_data({"carrier": values})
    assert codes.get_value().tolist() == [2, 0, 2, 1]
    assert model.coords["row"] is None


def test_a_category_that_no_row_has_is_not_unknown() -> None:
    with pm.Model():
        codes = Data("x", {"carrier": WORDS}, columns="carrier", categories="carriers")
        set_data({"carrier": pd.Categorical(["UA"], ["new", "UA"])})
    assert codes.get_value().tolist() == [2]


def test_unknown_categories_of_far_rows_are_listed() -> None:
    words = np.array(["AA"] * 200_000, dtype=object)
    words[[70_000, 199_999]] = "x", "y"
    with pm.Model():
        Data("x", {"carrier": WORDS}, columns="carrier", categories="carriers")
        with pytest.raises(ValueError, match="got 'x', 'y'"):
            set_data(by.source({"carrier": words}))


def test_unknown_categories_become_the_level_that_is_named() -> None:
    with pm.Model() as model:
        added = Data("a", {"w": ["u", "v"]}, columns="w", categories="ws", unknown="other")
        among = Data("b", {"z": ["u", "rest"]}, columns="z", categories="zs", unknown="rest")
        assert model.coords == {"ws": ("u", "v", "other"), "zs": ("rest", "u")}
        set_data({"w": ["v", "new", "other"], "z": ["u", "new", "rest"]})
    assert added.get_value().tolist() == [1, 2, 2]
    assert among.get_value().tolist() == [1, 0, 0]
    assert columns_of(added).unknown == "other"


def test_containers_share_a_dim_of_categories() -> None:
    airports = ["EWR", "LGA", "LAX"]
    routes = {"origin": ["EWR", "LGA"], "dest": ["LAX", "EWR"]}
    with pm.Model(coords={"airport": airports}) as model:
        for name in routes:
            Data(name, routes, columns=name, dims="flight", categories="airport")
    assert model["origin"].get_value().tolist() == [0, 1]
    assert model["dest"].get_value().tolist() == [2, 0]
    assert model.coords["airport"] == ("EWR", "LGA", "LAX")
    with pm.Model():
        Data("origin", routes, columns="origin", dims="flight", categories="airport")
        with pytest.raises(ValueError, match="of the dim 'airport', 'EWR', 'LGA', got 'LAX'"):
            Data("dest", routes, columns="dest", dims="flight", categories="airport")
        dest = Data(
            "dest", routes, columns="dest", dims="flight", categories="airport", unknown="LGA"
        )
    assert dest.get_value().tolist() == [1, 0]


def test_a_column_may_have_two_tables() -> None:
    frame = {"w": ["u", "v", "u"]}
    with pm.Model() as model:
        Data("a", frame, columns="w", dims="row", categories="ws")
        Data("b", frame, columns="w", dims="row", categories="others", unknown="0")
        set_data({"w": ["v", "u"]})
        assert model["a"].get_value().tolist() == model["b"].get_value().tolist() == [1, 0]
        first, second = match_columns(model, require_table({"w": ["new"]}, "`data`")).values()
        assert first.column.source is second.column.source
        assert second.values(read_all_rows([second.column])[0]).tolist() == [2]


def test_categories_that_cannot_be_are_refused() -> None:
    frame = {"carrier": WORDS, "hour": [1, 2, 3, 4], "none": pa.nulls(4, pa.string())}
    categories_refuse(
        TypeError,
        r"'hour' .* must hold text or categories where .*\n.*\[str\(value\) for value in frame\['h",
        frame,
        columns="hour",
        categories="hours",
    )
    with pm.Model() as model:
        texts = {"hour": [str(value) for value in frame["hour"]]}
        Data("hour", texts, columns="hour", categories="hours")
        message = r"must hold text or categories, got numbers .*\n.*\[str\(value\) for value in fr"
        with pytest.raises(TypeError, match=message):
            set_data(pl.DataFrame({"hour": [1, 2]}))
        set_data(pl.DataFrame({"hour": ["4", "1"]}))
    assert model["hour"].get_value().tolist() == [3, 0]
    for dim in ("x", "taken", "chain"):
        categories_refuse(
            ValueError, f"got '{dim}'", frame, columns="carrier", dims="row", categories=dim
        )
    categories_refuse(
        ValueError, "must differ", frame, columns="carrier", dims="row", categories="row"
    )
    categories_refuse(
        ValueError, "a dim with labels, got 'bare'", frame, columns="carrier", categories="bare"
    )
    categories_refuse(
        ValueError,
        "`unknown` of data container 'x' must be a label of the dim 'given'",
        frame,
        columns="carrier",
        categories="given",
        unknown="other",
    )
    categories_refuse(
        ValueError, "must differ, and be one at least", frame, columns="none", categories="ns"
    )


def test_missing_is_not_unknown() -> None:
    frame = {"carrier": ["UA", None, "AA"]}
    message = (
        "'carrier' in row 1.\nHint: a missing value is not an unknown category: fill it in with "
        "'other' first if it is to count as that, or build the container with missing='drop', "
        "which leaves such rows out"
    )
    options = {"columns": "carrier", "categories": "carriers"}
    categories_refuse(ValueError, message, frame, **options, unknown="other")
    categories_refuse(ValueError, "Hint: fill them in with a category, or build", frame, **options)
    filled = pd.DataFrame(frame).fillna("other")
    with pm.Model() as model:
        Data("x", filled, **options, unknown="other")
        with pytest.raises(ValueError, match="fill it in with 'other' first"):
            set_data(frame)
        set_data({"carrier": ["AA", "DL"]})
    assert model.coords["carriers"] == ("AA", "UA", "other")
    assert model["x"].get_value().tolist() == [0, 2]


def test_labels_are_text() -> None:
    with pm.Model() as model:
        Data("cut", {"cut": pd.cut([1, 2, 3], 2)}, columns="cut", categories="cuts")
    assert model.coords["cuts"] == ("(0.998, 2.0]", "(2.0, 3.0]")
    assert model["cut"].get_value().tolist() == [0, 0, 1]
    with pm.Model() as model:
        Data("x", {"a": pd.Categorical([1, 2])}, columns="a", categories="as")
        with pytest.raises(ValueError, match=r"'1', '2', got '1.0', '2.0'"):
            set_data({"a": pd.Categorical([1.0, 2.0])})
        with pytest.raises(ValueError, match="differ as text, got 1 and '1'"):
            set_data({"a": pd.Categorical([1, "1"], categories=[1, "1"])})
        set_data({"a": ["2", "1"]})
    assert model["x"].get_value().tolist() == [1, 0]


def test_the_table_is_that_of_the_dim_the_type_or_the_texts() -> None:
    source = by.source({"w": np.array(["v", "u", "v"], dtype=object)})
    texts, coded = source.fields["w"], Field("w", np.dtype("i4"), (), ("z", "v", "u"))
    model = pm.Model(coords={"given": ["u", "v", 1]})

    def table(field: Field, dim: str, unknown: str | None = None) -> tuple[str, ...]:
        return category_table(model, "x", source, field, dim, unknown)

    assert table(texts, "ws") == ("u", "v")
    assert table(texts, "ws", "other") == ("u", "v", "other")
    assert table(coded, "ws", "u") == ("z", "v", "u")
    assert table(coded, "given", "1") == ("u", "v", "1")
    with pytest.raises(ValueError, match="must be a label of the dim 'given', which the model has"):
        table(coded, "given", "other")


@given(st.lists(st.integers(-2, 4), max_size=5))
def test_codes_stand_for_a_category_each(codes: list[int]) -> None:
    array, strays = np.array(codes, dtype=int), [c for c in codes if not 0 <= c < 3]
    if not strays:
        check_codes("`data`", array, ("a", "b", "c"))
        return
    message = (
        rf"^`data` must hold codes from 0 to 2, of 'a', 'b', 'c', got {strays[0]} in row "
        rf"{codes.index(strays[0])}\.\nHint: pass the categories themselves; bayou turns them into"
    )
    with pytest.raises(ValueError, match=message):
        check_codes("`data`", array, ("a", "b", "c"))
