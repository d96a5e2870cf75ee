"""Rows that are left out for missing values: in all containers of a dim, whatever their order."""

from __future__ import annotations

from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymc.exceptions import ShapeError

import bayou as by
from bayou.containers.data import Data
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.dropped_rows import AllRows, RowSelection, all_rows_of
from bayou.containers.set_data import set_data

FRAME = pd.DataFrame(
    {
        "a": [0.0, np.nan, 2.0, 3.0],
        "b": pd.array([0, 1, None, 3], dtype="Int64"),
        "word": ["u", "v", None, "w"],
        "c": [0, 1, 2, 3],
    }
)
NUMBERS = st.one_of(st.none(), st.integers(-3, 3))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(-3, 3)), min_size=1, max_size=6)


def dropped(frame: Any, order: str = "abc", **options: Any) -> pm.Model:
    with pm.Model() as model:
        for name in order:
            missing: Any = "refuse" if name == "c" else "drop"
            Data(name, frame, columns=name, dims="row", missing=missing, **options)
    return model


def held(model: pm.Model) -> dict[str, list[Any]]:
    return {variable.name: variable.get_value().tolist() for variable in model.data_vars}


def expected(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row in rows if None not in row]


def frame_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list("abc")).astype({"a": "Int64", "b": "Int64"})


@settings(max_examples=40)
@given(ROWS, st.permutations("abc"))
def test_rows_that_any_lacks_are_left_out_of_all(rows: Any, order: list[str]) -> None:
    complete = expected(rows)
    if not complete:
        with pytest.raises(ValueError, match="must have at least one row without missing values"):
            dropped(frame_of(rows), "".join(order))
        return
    model = dropped(frame_of(rows), "".join(order))
    columns = held(model)
    assert list(zip(columns["a"], columns["b"], columns["c"], strict=True)) == complete
    assert {variable.dtype for variable in model.data_vars} == {"int64"}
    counts = {columns_of(variable).num_dropped for variable in model.data_vars}
    assert counts == {len(rows) - len(complete)}
    assert model.dim_lengths["row"].eval() == len(complete)


@settings(max_examples=40)
@given(ROWS.filter(expected), ROWS.filter(expected))
def test_new_rows_are_left_out_anew(old: Any, new: Any) -> None:
    model = dropped(frame_of(old))
    set_data(frame_of(new), model=model)
    assert held(model) == held(dropped(frame_of(new)))
    assert columns_of(model["c"]) == columns_of(dropped(frame_of(new))["c"])


def test_labels_are_left_out_with_their_rows() -> None:
    with pm.Model() as model:
        Data("c", FRAME, columns="c", dims="row", coords={"row": list("wxyz")})
        Data("a", FRAME, columns="a", dims="row", missing="drop")
        assert model.coords["row"] == ("w", "y", "z")
        Data("b", FRAME, columns="b", dims="row", missing="drop", coords={"row": list("wxyz")})
        assert model.coords["row"] == ("w", "z")
        with pytest.raises(ValueError, match="The dim 'row' must have one set of labels"):
            Data("d", FRAME, columns="c", dims="row", coords={"row": list("wzyx")})
        set_data(FRAME.bfill(), coords={"row": list("abcd")})
        assert model.coords["row"] == ("a", "b", "c", "d")
        set_data(FRAME)
        assert model.coords["row"] == ("a", "d")


def test_coords_of_the_model_are_left_out() -> None:
    with pm.Model(coords={"row": list("wxyz")}) as model:
        Data("c", FRAME, columns="c", dims="row")
        Data("a", FRAME, columns="a", dims="row", missing="drop")
    assert model.coords["row"] == ("w", "y", "z")
    assert model.dim_lengths["row"].eval() == 3


def test_labels_that_count_are_numbers_of_rows() -> None:
    with pm.Model() as model:
        Data("a", FRAME, columns="a", dims="row", missing="drop", coords={"row": range(4)})
        assert model.coords["row"] == (0, 2, 3)
        set_data({"a": [np.nan, 1.0]})
        assert model.coords["row"] == (1,)


def test_an_exported_index_is_left_out_too() -> None:
    frame = FRAME.set_index(pd.Index(list("wxyz"), name="row"))
    model = dropped(frame, export_index_as_coords=True)
    assert model.coords["row"] == ("w", "z")
    set_data(frame.bfill(), model=model)
    assert model.coords["row"] == ("w", "x", "y", "z")
    assert held(model) == {"a": [0, 2, 2, 3], "b": [0, 1, 3, 3], "c": [0, 1, 2, 3]}


def test_categories_are_left_out() -> None:
    with pm.Model() as model:
        Data("w", FRAME, columns="word", dims="row", categories="ws", missing="drop")
        Data("x", FRAME, columns=["c", "a"], dims=("row", "f"), missing="drop")
    assert held(model) == {"w": [0, 2], "x": [[0, 0], [3, 3]]}


def test_one_container_may_get_its_rows_anew() -> None:
    model = dropped(FRAME)
    set_data({"a": [9.0, 8.0, 7.0, 6.0]}, model=model)
    assert held(model) == {"a": [9, 8, 6], "b": [0, 1, 3], "c": [0, 1, 3]}
    set_data({"b": FRAME.assign(b=[1, 2, 3, 4])}, model=model)
    assert held(model) == {"a": [9, 8, 7, 6], "b": [1, 2, 3, 4], "c": [0, 1, 2, 3]}
    assert columns_of(model["c"]).num_dropped == 0


def test_copies_leave_out_alone() -> None:
    model = dropped(FRAME)
    for copied in (model.copy(), cloudpickle.loads(cloudpickle.dumps(model))):
        set_data({"a": [9.0, 8.0, 7.0, 6.0]}, model=copied)
        assert held(copied) == {"a": [9, 8, 6], "b": [0, 1, 3], "c": [0, 1, 3]}
        assert columns_of(copied["c"]).num_dropped == 1
    assert held(model) == {"a": [0, 3], "b": [0, 3], "c": [0, 3]}
    assert columns_of(model["c"]).num_dropped == 2


def test_without_dims_a_container_leaves_out_its_own() -> None:
    with pm.Model() as model:
        a = Data("a", FRAME, columns="a", missing="drop")
        set_data({"a": [np.nan, 5.0]})
    assert a.get_value().tolist() == [5]
    assert columns_of(a).num_dropped == 1
    assert held(model) == {"a": [5]}


def test_models_run_on_after_rows_are_left_out() -> None:
    model = dropped(FRAME)
    with model:
        pm.Normal("y", model["c"], observed=model["a"], dims="row")
    log_density = model.compile_logp()
    assert log_density({}) == pytest.approx(-np.log(2 * np.pi))
    set_data(FRAME.bfill(), model=model)
    assert log_density({}) == pytest.approx(-2 * np.log(2 * np.pi) - 0.5)


def test_imputed_containers_leave_out_rows_of_others() -> None:
    with pm.Model():
        Data("a", FRAME, columns="a", dims="row", missing="drop")
        imputed = Data("b", FRAME, columns="b", dims="row", missing="impute")
        np.testing.assert_array_equal(imputed.get_value(), [0, np.nan, 3])
        set_data({"a": [1.0, np.nan, 1.0, 1.0], "b": [5, 6, None, 7]})
        np.testing.assert_array_equal(imputed.get_value(), [5, np.nan, 7])
        with pytest.raises(ValueError, match="must miss the same 1 of 3"):
            Data("d", FRAME.assign(c=[None, 1, 2, 3]), columns="c", dims="row", missing="drop")


# Refusals, which change nothing


def refuses(error: type[Exception], match: str, model: pm.Model, call: Any) -> None:
    def state() -> Any:
        counts = [columns_of(variable) for variable in model.data_vars]
        return held(model), dict(model.coords), dict(model.dim_lengths), counts

    before = state()
    with model, pytest.raises(error, match=match) as caught:
        call()
    assert state() == before
    assert "\nHint: " in str(caught.value)


def test_containers_without_columns_are_refused() -> None:
    with pm.Model() as model:
        Data("plain", [1.0, 2.0, 3.0, 4.0], dims="row")
    message = "'row', must all be built from named columns .* got 'plain', which was built without"
    refuses(
        ValueError,
        message,
        model,
        lambda: Data("a", FRAME, columns="a", dims="row", missing="drop"),
    )
    refuses(
        ValueError,
        "must all be built from named columns that are in memory, got 'plain'",
        dropped(FRAME),
        lambda: Data("plain", [1.0, 2.0], dims="row"),
    )
    with model:
        complete = Data("c", FRAME, columns="c", dims="row", missing="drop")
    refuses(ValueError, message, model, lambda: set_data({"c": [1, None, 3, 4]}))
    assert complete.get_value().tolist() == [0, 1, 2, 3]


def test_windows_of_a_source_are_refused() -> None:
    with pm.Model() as model:
        Data("x", by.source({"x": np.arange(8.0)}), columns="x", dims="row", in_memory_size=4)
    refuses(
        ValueError,
        "got 'x', which holds a part of the rows of its source",
        model,
        lambda: Data("a", FRAME, columns="a", dims="row", missing="drop"),
    )


def test_a_dim_of_another_axis_is_refused() -> None:
    with pm.Model() as model:
        Data("x", {"m": np.eye(4)}, columns="m", dims=("other", "row"))
    refuses(
        ValueError,
        "got it as another dim than the first of 'x'",
        model,
        lambda: Data("a", FRAME, columns="a", dims="row", missing="drop"),
    )


def test_other_numbers_of_rows_are_refused() -> None:
    refuses(
        ShapeError,
        r"The dim 'row' has length 4 in the model, got a value of shape \(2,\)",
        dropped(FRAME),
        lambda: Data("d", FRAME.head(2), columns="c", dims="row"),
    )
    refuses(
        ShapeError,
        "must agree in the number of their rows, before any is dropped, got 2, 4",
        dropped(FRAME),
        lambda: set_data({"a": [1.0, 2.0]}),
    )
    refuses(
        ShapeError,
        r"`coords\['row'\]` must fit the new length 4, got 2 labels",
        dropped(FRAME),
        lambda: set_data(FRAME, coords={"row": [1, 2]}),
    )


def test_values_that_were_put_into_a_container_are_not_lost() -> None:
    model = dropped(FRAME)
    model["c"].set_value(np.array([7, 7]))
    refuses(
        ValueError,
        "'c' must hold the rows that are left .*\nHint: it was changed without `bayou.set_data`",
        model,
        lambda: set_data({"a": [1.0, 2.0, 3.0, 4.0]}),
    )
    set_data(FRAME, model=model)
    assert held(model)["c"] == [0, 3]


def test_no_row_left_is_refused() -> None:
    refuses(
        ValueError,
        "^The dim 'row' must have at least one row without missing values, got none among 4",
        dropped(FRAME),
        lambda: set_data(FRAME.assign(a=np.nan)),
    )


def test_no_row_left_without_dims_is_refused() -> None:
    with pm.Model(), pytest.raises(ValueError, match=r"^The data must have .*, got none among 2"):
        Data("a", {"a": [None, np.nan]}, columns="a", missing="drop")


# The parts


@given(hnp.arrays(bool, st.tuples(st.integers(0, 5), st.integers(1, 3))))
def test_rows_with_a_missing_value_are_incomplete(missing: np.ndarray) -> None:
    values = np.zeros(missing.shape)
    rows = AllRows.without_missing(values, missing)
    assert rows.incomplete.tolist() == [any(row) for row in missing.tolist()]
    assert not AllRows.complete(values).incomplete.any()
    selection = RowSelection("row", ~rows.incomplete, {})
    chosen = [k for k, row in enumerate(missing.tolist()) if not any(row)]
    assert selection.num_rows == len(chosen)
    assert selection.select_labels(tuple(range(len(missing)))) == tuple(chosen)
    assert selection.select(np.arange(len(missing))).tolist() == chosen


def test_a_selection_is_noted_on_the_container_and_removed_again() -> None:
    variable = pytensor.shared(np.zeros(1))
    rows = AllRows.without_missing(np.zeros(2), np.array([True, False]))
    RowSelection(None, ~rows.incomplete, {}).record(variable, rows, ("a", "b"))
    noted = all_rows_of(variable)
    assert noted is not None
    assert noted.selected is not None
    assert (noted.labels, noted.selected.tolist()) == (("a", "b"), [False, True])
    RowSelection(None, np.ones(2, dtype=bool), {}).record(variable, rows, None)
    assert all_rows_of(variable) is None


def test_pickles_with_old_names_of_fields_load() -> None:
    rows = AllRows.__new__(AllRows)
    lacking, kept = np.array([True, False]), np.array([False, True])
    rows.__setstate__({"values": [1, 2], "lacking": lacking, "labels": None, "kept": kept})
    assert rows.incomplete is lacking
    assert rows.selected is kept
