"""New values for containers of named columns: which table feeds which, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymc.exceptions import ShapeError

import bayou as by
from bayou.containers.data import Data
from bayou.containers.reading.columns import columns_of
from bayou.containers.set_data import set_data

FLIGHTS = pd.DataFrame(
    {
        "distance": [227.0, 1416.0, 719.0],
        "hour": [5, 6, 7],
        "late": [True, False, True],
        "carrier": ["UA", "AA", "UA"],
    },
    index=pd.Index(["UA1", "AA2", "UA3"], name="flight"),
)
TOMORROW = pd.DataFrame(
    {"carrier": ["AA", "AA"], "hour": [9, 8], "late": [False, True], "distance": [1.0, 2.0]},
    index=pd.Index(["AA9", "AA8"], name="flight"),
)
COUNTIES = {"county": ["Cook", "Polk"], "uranium": [0.5, 1.5]}


def flights(**options: Any) -> pm.Model:
    with pm.Model() as model:
        Data("x", FLIGHTS, columns=["distance", "hour"], dims=("flight", "feature"), **options)
        Data("late", FLIGHTS, columns="late", dims="flight", **options)
        Data("carrier", FLIGHTS, columns="carrier", dims="flight", categories="carriers", **options)
    return model


def held(model: pm.Model) -> dict[str, Any]:
    return {variable.name: variable.get_value().tolist() for variable in model.data_vars}


def refuses(
    error: type[Exception],
    match: str,
    new_data: Any,
    model: pm.Model | None = None,
    **options: Any,
) -> None:
    """Check that `set_data` refuses, in the words of `match`, and leaves the model alone."""
    model = flights() if model is None else model
    before = held(model), dict(model.coords), [columns_of(v) for v in model.data_vars]
    with model, pytest.raises(error, match=match) as caught:
        set_data(new_data, **options)
    assert (held(model), dict(model.coords), [columns_of(v) for v in model.data_vars]) == before
    assert "\nHint: " in str(caught.value)


NEW = {"x": [[1, 9], [2, 8]], "late": [False, True], "carrier": [0, 0]}


@pytest.mark.parametrize(
    "table",
    [
        TOMORROW,
        TOMORROW.astype({"carrier": "category"}),
        pl.from_pandas(TOMORROW),
        pl.from_pandas(TOMORROW).lazy(),
        by.source(pl.from_pandas(TOMORROW)),
        {name: TOMORROW[name].to_numpy() for name in TOMORROW},
        {name: list(TOMORROW[name]) for name in TOMORROW} | {"other": [None] * 5},
    ],
)
def test_a_table_feeds_all_containers(table: Any) -> None:
    model = flights()
    set_data(table, model=model)
    assert held(model) == NEW
    assert model.dim_lengths["flight"].eval() == 2
    assert model.coords["carriers"] == ("AA", "UA")


@given(st.permutations(list(TOMORROW)))
def test_the_order_of_columns_does_not_matter(order: list[str]) -> None:
    model = flights()
    set_data(TOMORROW[order], model=model)
    assert held(model) == NEW


def test_labels_follow_the_rows() -> None:
    model = flights(export_index_as_coords=True)
    assert model.coords["flight"] == ("UA1", "AA2", "UA3")
    set_data(TOMORROW, model=model)
    assert model.coords["flight"] == ("AA9", "AA8")
    set_data(TOMORROW, coords={"flight": [1, 2]}, model=model)
    assert model.coords["flight"] == (1, 2)


def test_the_source_is_named_anew() -> None:
    model = flights()
    set_data(pl.from_pandas(TOMORROW), model=model)
    assert columns_of(model["x"]).source == "polars.DataFrame"


def test_new_data_of_the_same_kind_compile_nothing() -> None:
    model = flights()
    with model:
        coefficients = pm.Normal("b", dims="feature")
        pm.Bernoulli("y", logit_p=model["x"] @ coefficients, observed=model["late"], dims="flight")
    density = model.compile_logp()
    before = density({"b": np.zeros(2)})
    set_data(TOMORROW, model=model)
    assert before == pytest.approx(-3 * np.log(2) - np.log(2 * np.pi))
    assert density({"b": np.zeros(2)}) == pytest.approx(-2 * np.log(2) - np.log(2 * np.pi))


# Which containers a table feeds


def two_tables() -> pm.Model:
    model = flights()
    with model:
        Data("uranium", COUNTIES, columns="uranium", dims="county")
        Data("alone", COUNTIES, columns="uranium")
    return model


def test_a_table_feeds_the_dims_whose_columns_it_has() -> None:
    model = two_tables()
    set_data(TOMORROW, model=model)
    assert held(model) == NEW | {"uranium": [0.5, 1.5], "alone": [0.5, 1.5]}
    set_data(pd.DataFrame({"uranium": [2.5]}), model=model)
    assert held(model) == NEW | {"uranium": [2.5], "alone": [2.5]}


def test_containers_of_a_dim_are_fed_all_or_none() -> None:
    refuses(
        ValueError,
        r"without 'late' \(for 'late'\), 'carrier' \(for 'carrier'\)\.\nHint: the data have",
        TOMORROW[["hour", "distance"]],
        two_tables(),
    )
    message = r"without 'distance' \(for 'x'\), 'hour' \(for 'x'\), 'late'"
    refuses(ValueError, message, pd.DataFrame({"day": [1]}))


def test_lengths_of_others_must_agree() -> None:
    model = flights()
    with model:
        Data("plain", [1.0, 2.0, 3.0], dims="flight")
    refuses(ShapeError, "that share the dim 'flight' must agree in its length", TOMORROW, model)
    refuses(ShapeError, "that share the dim 'flight' must agree", {"late": [True]}, model)


def test_keys_are_containers_or_columns() -> None:
    model = flights()
    set_data({"x": TOMORROW, "late": [True, True], "carrier": ["UA", "UA"]}, model=model)
    assert held(model) == {"x": [[1, 9], [2, 8]], "late": [True, True], "carrier": [1, 1]}
    # Both are names of containers and of columns.
    set_data({"late": [False, True], "carrier": ["AA", "UA"]}, model=model)
    assert held(model) == {"x": [[1, 9], [2, 8]], "late": [False, True], "carrier": [0, 1]}
    refuses(ValueError, "got 'distance'", {"x": TOMORROW, "distance": [1.0]})
    refuses(ValueError, r"without 'distance' \(for 'x'\)", {"late": [True], "hour": [1]})
    refuses(ValueError, "must name data containers of the model, got 'lat'", {"lat": [True]})


def test_a_nested_model_has_columns() -> None:
    with pm.Model() as outer:
        with pm.Model(name="inner"):
            Data("late", FLIGHTS, columns="late", dims="flight")
        set_data(TOMORROW)
        assert held(outer) == {"inner::late": [False, True]}
        set_data({"inner::late": TOMORROW.tail(1)})
    assert held(outer) == {"inner::late": [True]}


def test_a_model_without_columns_takes_no_table() -> None:
    with pm.Model() as model:
        Data("late", [1.0])
    refuses(
        TypeError,
        "`new_data` must map names to values for a model without named columns, got a pandas.Da",
        TOMORROW,
        model,
    )


# Values by the names of containers


def test_a_container_takes_a_plain_array() -> None:
    model = flights()
    set_data({"x": np.ones((3, 2)), "late": [0, 1, 1], "carrier": np.array([1, 0, 1])}, model=model)
    assert held(model) == {
        "x": [[1, 1]] * 3,
        "late": [False, True, True],
        "carrier": [1, 0, 1],
    }
    set_data({"carrier": pl.Series(["UA"] * 3), "late": pd.Series([1, 0, 0])}, model=model)
    assert held(model)["carrier"] == [1, 1, 1]


def test_days_may_be_given_as_the_container_holds_them() -> None:
    with pm.Model() as model:
        Data("day", {"d": np.array(["2013-01-01"], "M8[D]")}, columns="d")
        set_data({"day": [1.5, 2.0]})
        assert held(model) == {"day": [1.5, 2.0]}
        set_data({"day": np.array(["1970-01-02"], "M8[D]")})
        assert held(model) == {"day": [1.0]}


def test_values_that_a_container_does_not_hold_are_refused() -> None:
    refuses(ValueError, "must hold codes from 0 to 1, of 'AA', 'UA', got 2", {"carrier": [0, 1, 2]})
    refuses(ValueError, "must hold codes from .* got -1 in row 2", {"carrier": [0, 1, -1]})
    refuses(ValueError, "got 'DL'", {"carrier": ["UA", "DL", "AA"]})
    refuses(ValueError, "'late' in row 1", {"late": [True, None, True]})
    refuses(ValueError, "that bool can represent, got 2", {"late": [0, 1, 2]})
    refuses(TypeError, "'late' of data container 'late' must hold numbers", {"late": list("abc")})
    refuses(ShapeError, "a column for each of 'distance', 'hour', got", {"x": np.ones((3, 4))})
    refuses(ShapeError, "must have as many axes as its container, 2,", {"x": [1.0, 2.0, 3.0]})
    refuses(ValueError, "must hold no missing values, got 1", {"x": [[1, np.nan]] * 1})
    refuses(ValueError, r"without 'hour' \(for 'x'\)", {"x": TOMORROW.drop(columns="hour")})
    refuses(
        ShapeError,
        "must have as many axes as its container, 1",
        {"late": np.ones((3, 1), dtype=bool)},
    )


def test_columns_of_another_kind_are_refused() -> None:
    refuses(TypeError, "'hour' of data container 'x' must hold", TOMORROW.astype({"hour": str}))
    refuses(TypeError, "must hold text or categories", TOMORROW.assign(carrier=[1, 2]))
    with pm.Model() as model:
        Data("hour", FLIGHTS, columns="hour", dims="flight")
    message = "data container 'hour' must hold values that int64 can represent, got 9.5"
    refuses(ValueError, message, TOMORROW.assign(hour=[9.5, 1.0]), model)
    set_data(TOMORROW.assign(hour=[9.0, 1.0]), model=model)
    assert held(model) == {"hour": [9, 1]}


def test_labels_of_columns_are_their_names() -> None:
    message = r"`coords\['feature'\]` must be the columns of data container 'x'"
    refuses(ValueError, message, TOMORROW, coords={"feature": ["a", "b"]})
    refuses(ValueError, message, {"x": np.ones((3, 2))}, coords={"feature": ["a", "b"]})
    model = flights()
    set_data(TOMORROW, coords={"feature": ["distance", "hour"]}, model=model)
    assert held(model) == NEW


def test_a_failure_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = flights(missing="drop")

    kind = type(model["late"])
    set_value = kind.set_value

    def fail(variable: Any, value: Any, borrow: bool = False) -> None:
        if not borrow and variable.name == "late":
            raise RuntimeError("half way")
        set_value(variable, value, borrow)

    monkeypatch.setattr(kind, "set_value", fail)
    before = [columns_of(variable) for variable in model.data_vars]
    with pytest.raises(RuntimeError, match="half way"):
        set_data(TOMORROW.assign(hour=[None, 1]), model=model)
    assert [columns_of(variable) for variable in model.data_vars] == before
    assert held(model) == held(flights())


def test_a_table_without_rows_is_refused_by_name() -> None:
    table = {"distance": [], "hour": [], "late": [], "carrier": []}
    message = "^`new_data` must have at least one row, got a dict without any"
    refuses(ValueError, message, table)
    frame = pd.DataFrame(columns=["late"], dtype=bool)
    refuses(ValueError, r"^`new_data\['late'\]` must have at least one row", {"late": frame})
    with (
        pm.Model(),
        pytest.raises(
            ValueError,
            match=r"^`value` of data container 'x' must have at least one row, got a pandas",
        ),
    ):
        Data("x", frame, columns="late")
