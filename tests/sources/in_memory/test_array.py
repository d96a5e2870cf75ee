"""Arrays in memory: names, nulls, lengths, objects."""

import numpy as np
import pandas as pd
import pytest

import bayou.sources as by


def read(source: by.Source) -> dict[str, list[object]]:
    names = list(source.fields)
    tables = [table for block in range(len(source.blocks)) for table in source.read(block, names)]
    return {name: np.concatenate([table[name] for table in tables]).tolist() for name in names}


def test_an_array_without_names_is_the_field_value() -> None:
    assert list(by.source(np.zeros((3, 2, 2))).fields) == ["value"]
    assert by.source(np.zeros((3, 2, 2)))["value"].shape == (2, 2)


def test_blocks_are_views() -> None:
    array = np.arange(5.0)
    assert np.shares_memory(next(by.source(array).read(0, ["value"]))["value"], array)


def test_many_rows_come_in_many_blocks() -> None:
    source = by.source(np.arange(200_000))
    assert source.blocks == (65536, 65536, 65536, 3392)
    assert next(source.read(3, ["value"]))["value"][[0, -1]].tolist() == [196608, 199999]


def test_jax_arrays_and_lists_are_arrays() -> None:
    import jax.numpy as jnp

    assert read(by.source(jnp.arange(3.0))) == {"value": [0.0, 1.0, 2.0]}
    assert read(by.source({"x": [1, 2], "y": jnp.ones(2)})) == {"x": [1, 2], "y": [1.0, 1.0]}


def test_series_among_arrays_keep_their_categories() -> None:
    carrier = pd.Series(pd.Categorical(["UA", "AA"]), name="other")
    source = by.source({"carrier": carrier, "x": np.zeros(2)})
    assert source.fields["carrier"].categories == ("AA", "UA")
    assert read(source)["carrier"] == [1, 0]


def test_nan_is_a_value() -> None:
    source = by.source({"x": np.array([np.nan, 1.0])}, nulls="drop")
    assert (source.num_rows, source.num_dropped) == (2, 0)


NULLS = {
    "masked": np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False]),
    "None among numbers": [1.0, None, 3.0],
    "None among objects": np.array([1.0, None, 3.0], dtype=object),
    "matrix": np.ma.array([[1.0, 2.0]] * 3, mask=[[False, False], [False, True], [False, False]]),
    "text": ["a", None, "c"],
    "NaN among text": np.array(["a", np.nan, "c"], dtype=object),
    "dates": np.array([np.datetime64("2013-01-01"), None, np.datetime64("2013-01-02")], object),
}


@pytest.mark.parametrize("values", NULLS.values(), ids=NULLS.keys())
def test_nulls_are_refused_or_dropped(values: object) -> None:
    arrays = {"n": np.arange(3), "x": values}
    with pytest.raises(ValueError, match=r"`x` must have no nulls, got one in row 1\.\nHint: fill"):
        by.source(arrays)
    source = by.source(arrays, nulls="drop")
    assert (source.num_rows, source.num_dropped, source.blocks) == (2, 1, (2,))
    assert read(source)["n"] == [0, 2]


def test_masked_rows_of_a_structured_array() -> None:
    array = np.ma.zeros(3, dtype=[("x", float), ("y", "i4", (2,))])
    array["x"] = np.ma.masked_equal([0.0, 1.0, 2.0], 1.0)
    source = by.source(array, nulls="drop")
    assert (source.num_rows, source["y"].shape) == (2, (2,))


def test_objects_that_are_numbers_become_numbers() -> None:
    source = by.source({"n": np.array([1, 2], object), "t": np.array([1, "a"], object)})
    assert [field.dtype for field in source.fields.values()] == [np.dtype("int64"), np.dtype("O")]


def test_all_rows_have_a_null() -> None:
    with pytest.raises(ValueError, match=r"and one row, got no rows but 2 with a null\.\nHint"):
        by.source({"x": np.ma.masked_all(2)}, nulls="drop")


def test_lengths_differ() -> None:
    wrong = r"must have the same number of rows, got 3 of `x` and 2 of `y`\.\nHint: the first axis"
    with pytest.raises(ValueError, match=wrong):
        by.source({"x": np.zeros(3), "y": np.zeros(2)})


@pytest.mark.parametrize("nothing", [{}, np.zeros(0, dtype=[])])
def test_no_fields(nothing: object) -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no fields\.\nHint"):
        by.source(nothing)


@pytest.mark.parametrize("nothing", [{"x": []}, np.zeros((0, 3))])
def test_no_rows(nothing: object) -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no rows\.\nHint"):
        by.source(nothing)


def test_names_must_be_text() -> None:
    with pytest.raises(TypeError, match=r"names of fields must be text, got 1\.\nHint: rename"):
        by.source({1: np.zeros(2)})


def test_fields_need_rows_of_their_own() -> None:
    with pytest.raises(
        TypeError, match=r"`x` must be an array with one entry for each row, got one value"
    ):
        by.source({"x": 1.0})
    nested = np.zeros(2, dtype=[("a", float)])
    with pytest.raises(TypeError, match=r"`x` must be an array .* got a structured array\.\nHint"):
        by.source({"x": nested})
