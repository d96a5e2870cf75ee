"""What tests of containers share: values, tables, and checks that an error changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest

from bayou.containers.data import Data
from bayou.containers.set_data import set_data

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLIGHTS = pd.Series([1.0, 2.0, 3.0], index=pd.Index(["a", "b", "c"], name="flight"))
TABLE = pd.DataFrame(
    {"distance": [1.0, 2.0], "hour": [3.0, 4.0]}, index=pd.Index([7, 9], name="flight")
).rename_axis(columns="feature")


def state_of(model: pm.Model) -> tuple[Any, ...]:
    """All that a refused container must leave as it was."""
    return (
        dict(model.coords),
        dict(model.dim_lengths),
        dict(model.named_vars),
        dict(model.named_vars_to_dims),
        list(model.data_vars),
    )


def value_of(value: Any, **options: Any) -> Any:
    """The array that a container of this value holds."""
    with pm.Model():
        return Data("x", value, **options).get_value()


def data_refuses(error: type[Exception], match: str, **arguments: Any) -> None:
    """Check that `Data` refuses, in the words of `match`, and leaves the model alone."""
    with pm.Model(coords={"origin": ["EWR", "JFK"]}) as model:
        Data("taken", [1.0, 2.0, 3.0], dims="row")
        before = state_of(model)
        with pytest.raises(error, match=match) as caught:
            Data(**{"name": "x", **arguments})
        assert state_of(model) == before
    assert "\nHint: " in str(caught.value)


def frame_of(labels: list[str], columns: tuple[str, ...] = ("distance", "hour")) -> pd.DataFrame:
    values = np.arange(len(labels) * len(columns), dtype=float).reshape(len(labels), -1)
    return pd.DataFrame(values, index=labels, columns=columns)


def series_of(labels: list[Any]) -> pd.Series:
    return pd.Series(np.arange(len(labels), dtype=float), index=pd.Index(labels, name="row"))


def regression(**options: Any) -> pm.Model:
    """Two containers that share the dim ``row``, one of them observed."""
    with pm.Model(coords={"feature": ["distance", "hour"]}) as model:
        x = Data("x", np.ones((3, 2)), dims=("row", "feature"), **options)
        y = Data("y", [0.0, 1.0, 2.0], dims="row")
        b = pm.Normal("b", dims="feature")
        pm.Normal("obs", x @ b, 1.0, observed=y, dims="row")
    return model


def contents_of(model: pm.Model) -> dict[str, Any]:
    """All that a refused update must leave as it was."""
    return {
        "values": {v.name: v.get_value(borrow=True) for v in model.data_vars},
        "coords": dict(model.coords),
        "lengths": {dim: length.eval() for dim, length in model.dim_lengths.items()},
        "expressions": dict(model.dim_lengths),
    }


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["values"].keys() == other["values"].keys()
    assert all(one["values"][name] is other["values"][name] for name in one["values"])
    assert {k: v for k, v in one.items() if k != "values"} == {
        k: v for k, v in other.items() if k != "values"
    }


def set_data_refuses(
    model: pm.Model, error: type[Exception], match: str, *arguments: Any, **more: Any
) -> None:
    """Check that `set_data` refuses, in the words of `match`, and leaves the model alone."""
    before = contents_of(model)
    with pytest.raises(error, match=match) as caught:
        set_data(*arguments, **more, model=model)
    assert_same(contents_of(model), before)
    assert "\nHint: " in str(caught.value)


def columns_refuse(error: type[Exception], match: str, value: Any, **options: Any) -> None:
    with (
        pm.Model(coords={"given": ["AA", "UA"]}) as model,
        pytest.raises(error, match=match) as caught,
    ):
        Data("x", value, **options)
    assert not model.data_vars
    assert set(model.coords) == {"given"}
    assert "\nHint: " in str(caught.value)


def categories_refuse(error: type[Exception], match: str, value: Any, **options: Any) -> None:
    with pm.Model(coords={"given": ["AA", "UA"]}) as model:
        Data("taken", [1.0, 2.0], dims="bare")
        with pytest.raises(error, match=match) as caught:
            Data("x", value, **options)
    assert set(model.coords) == {"given", "bare"}
    assert "\nHint: " in str(caught.value)
