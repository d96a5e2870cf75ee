"""Tables are cut into the data sets of their keys, whatever holds them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.containers.data_change import plan_change
from bayou.containers.set_data import temporary_values
from bayou.many.data_sets.by_key import read_data_sets

FRAME = pd.DataFrame(
    {
        "shop": ["b", "a", "b", "c", "a", "b"],
        "week": [2, 2, 1, 1, 1, 2],
        "kind": ["x", "y", "x", "x", "y", "y"],
        "sold": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    }
)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        by.Data("kind", FRAME, columns="kind", categories="kinds", dims="row")
        by.Data("sold", FRAME, columns="sold", dims="row")
        by.Data("constant", [1.0, 2.0])
    return model


def parquet(folder: Path) -> Any:
    FRAME.to_parquet(folder / "shops.parquet", row_group_size=4)
    return by.scan(folder / "shops.parquet")


TABLES = {
    "pandas": lambda folder: FRAME,
    "polars": lambda folder: pl.from_pandas(FRAME),
    "lazy": lambda folder: pl.from_pandas(FRAME).lazy(),
    "dict": lambda folder: {name: FRAME[name].to_numpy() for name in FRAME},
    "parquet": parquet,
}


@pytest.mark.parametrize("key", ["shop", "week", "kind"])
@pytest.mark.parametrize("kind", list(TABLES))
def test_rows_of_a_key_keep_their_order(
    model: pm.Model, tmp_path: Path, kind: str, key: str
) -> None:
    found = read_data_sets(model, TABLES[kind](tmp_path), key)
    pairs = dict(found)
    expected = dict(iter(FRAME.groupby(key)))
    assert list(pairs) == list(expected)
    assert found.number == len(expected)
    for name, rows in expected.items():
        arrays = plan_change(model, pairs[name], count_labels=True).arrays
        np.testing.assert_array_equal(arrays[model["sold"]], rows["sold"])
        np.testing.assert_array_equal(arrays[model["kind"]], (rows["kind"] == "y"))
        assert model["constant"] not in arrays


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_each_row_is_in_one_group(keys: list[int]) -> None:
    table = {"key": keys, "sold": np.arange(float(len(keys)))}
    with pm.Model() as model:
        sold = by.Data("sold", table, columns="sold", dims="row")
    groups = {
        key: plan_change(model, data, count_labels=True).arrays[sold]
        for key, data in read_data_sets(model, table, "key")
    }
    assert sorted(np.concatenate([*groups.values()])) == list(range(len(keys)))
    for key, rows in groups.items():
        assert rows.tolist() == [row for row, own in enumerate(keys) if own == key]


def test_new_data_change_nothing(model: pm.Model) -> None:
    held, coords = model["sold"].get_value(), dict(model.coords)
    arrays = plan_change(model, {"sold": [7.0], "kind": ["y"]}, count_labels=True).arrays
    assert arrays[model["sold"]].tolist() == [7.0]
    np.testing.assert_array_equal(model["sold"].get_value(), held)
    assert model.coords == coords


def test_what_is_held_for_a_while_is_put_back(model: pm.Model) -> None:
    held = model["sold"].get_value(borrow=True)

    def interrupted() -> None:
        with temporary_values({model["sold"]: np.array([7.0])}):
            assert model["sold"].get_value().tolist() == [7.0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert model["sold"].get_value(borrow=True) is held
