"""Columns matched by name: whatever their order, from every kind of table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.containers.data import Data
from bayou.containers.reading.column_matching import (
    check_has_columns,
    match_columns,
    open_columns,
    require_table,
)
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import read_pieces
from bayou.sources.base.source import Source
from tests.containers.helpers import columns_refuse
from tests.containers.tables import FRAME, ROWS, flights


def test_every_kind_of_table_is_matched_and_read_in_pieces(table: Any) -> None:
    model = flights(FRAME)
    found = match_columns(model, require_table(table, "`data`"))
    assert set(found) == set(model.data_vars)
    layout = ColumnLayout(tuple(reader.column for reader in found.values()))
    first = 0
    for pieces in read_pieces(layout, layout.source.blocks, 3):  # type: ignore[arg-type]
        for (variable, reader), piece in zip(found.items(), pieces, strict=True):
            held = variable.get_value()[first : first + len(piece)]
            values = reader.values(piece, first)
            assert values.dtype == held.dtype
            np.testing.assert_array_equal(values, held)
        first += len(pieces[0])
    assert first == len(FRAME)


@given(st.permutations([*ROWS, "other", "more"]))
def test_columns_are_matched_by_name(order: list[str]) -> None:
    model = flights(FRAME)
    wide = FRAME.assign(other="text", more=None)[order]
    for variable, reader in match_columns(model, require_table(wide, "`data`")).items():
        [[array]] = read_pieces(ColumnLayout((reader.column,)), (4,), 4)
        np.testing.assert_array_equal(reader.values(array), variable.get_value())


def test_only_some_containers_may_be_matched() -> None:
    model = flights(FRAME)
    [(variable, reader)] = match_columns(
        model, require_table(FRAME[["late"]], "`data`"), [model["late"]]
    ).items()
    assert (variable.name, reader.name, reader.dtype) == ("late", "late", np.dtype(bool))
    with pm.Model() as other:
        plain = Data("plain", [1.0])
    assert match_columns(other, require_table(FRAME, "`data`")) == {}
    with pytest.raises(ValueError, match=r"`variables` must be containers .*\n?.* got 'plain'"):
        match_columns(other, require_table(FRAME, "`data`"), [plain])


def test_all_columns_that_are_missing_are_listed() -> None:
    renamed = FRAME.rename(columns={"hour": "hours"}).drop(columns="late")
    with pytest.raises(ValueError, match="must have all columns") as caught:
        match_columns(flights(FRAME), require_table(renamed, "`data`"))
    assert str(caught.value) == (
        "The data must have all columns that the containers use, got a pandas.DataFrame "
        "without 'hour' (for 'x'), 'late' (for 'late').\n"
        "Hint: did you mean 'hours'? The data have the columns 'hours', 'distance', "
        "'carrier', 'day', 'at'."
    )


def test_matching_reads_no_rows() -> None:
    class Unread(Source):
        fields = by.source({"x": np.zeros(3)}).fields
        blocks = (3,)

        def read(self, block: int, names: Any) -> Any:
            raise AssertionError

    with pm.Model() as model:
        Data("x", {"x": [1.0, 2.0]}, columns="x")
    [reader] = match_columns(model, require_table(Unread(), "`data`")).values()
    assert reader.column.names == ("x",)


def test_what_has_no_names_is_refused() -> None:
    with pytest.raises(TypeError, match="`data` must have named columns, got an ndarray"):
        require_table(np.zeros((3, 2)), "`data`")
    columns_refuse(TypeError, "must have named columns, got a list", [1.0], columns="x")


def test_other_columns_may_miss_values() -> None:
    with pm.Model():
        for name, table in {
            "dict": {"a": [1.0], "b": [None]},
            "frame": pd.DataFrame({"a": [1.0], "b": [None], 3: [1]}),
            "arrow": pa.table({"a": [1.0], "b": pa.nulls(1)}),
        }.items():
            assert Data(name, table, columns="a").get_value().tolist() == [1.0]


def test_names_that_come_twice_are_refused() -> None:
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "a", "b"])
    columns_refuse(ValueError, "must differ, got 'a' twice", twice, columns="a")
    with pm.Model():
        assert Data("b", twice, columns="b").get_value().tolist() == [3.0]


def test_a_table_without_rows_is_an_error() -> None:
    table = require_table({"a": []}, "`data`")
    with pytest.raises(
        ValueError,
        match=r"^`data` must have at least one row, got a dict without any\.\nHint: ",
    ):
        open_columns(table, ["a"], "`data`")
    assert require_table(table, "`data`") is table


def test_all_missing_columns_are_listed_with_their_containers() -> None:
    table = require_table({"hours": [1], "b": [2], 3: [4]}, "`data`")
    check_has_columns(table, {"x": ("hours",), "y": ("b", "hours")})
    with pytest.raises(
        ValueError,
        match=r"^The data must have all columns that the containers use, got a dict "
        r"without 'hour' \(for 'x', 'y'\), 'day' \(for 'x'\)\.\n"
        r"Hint: did you mean 'hours'\? The data have the columns 'hours', 'b', 3\.$",
    ):
        check_has_columns(table, {"x": ("hour", "day"), "y": ("b", "hour")})
