"""Each data set of a call has values for the same containers, and rows."""

from typing import Any

import pymc as pm
import pytest

import bayou as by
from bayou.many.data_sets.validation import DataSetReader


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return a mean with an offset."""
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0], dims="row")
        offset = by.Data("offset", 0.0)
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("observed", mu + offset, 1, observed=y, dims="row")
    return model


GOOD: dict[str, Any] = {"y": [1.0, 2.0], "offset": 1.0}


def test_values_are_read(model: pm.Model) -> None:
    data = DataSetReader(model).read(GOOD)
    assert data.arrays[model["y"]].tolist() == [1, 2]
    assert data.names == {"y", "offset"}


def test_an_exception_is_raised_again(model: pm.Model) -> None:
    with pytest.raises(OSError, match="no such file"):
        DataSetReader(model).read(OSError("no such file"))


def test_data_must_have_rows(model: pm.Model) -> None:
    text = "The data must have at least one row, got none along 'row'"
    with pytest.raises(ValueError, match=text):
        DataSetReader(model).read({"y": [], "offset": 0.0})


def test_what_is_observed_at_something_else_has_rows_anyway() -> None:
    with pm.Model() as model:
        x = by.Data("x", [0.0, 1.0], dims="row")
        pm.Normal("observed", pm.Normal("mu") + x.sum(), 1, observed=[1.0])
    assert DataSetReader(model).read({"x": []}).arrays[x].tolist() == []


def test_data_sets_in_memory_have_values_for_all_that_others_have(model: pm.Model) -> None:
    datasets = [{"y": [1.0]}, GOOD]
    reader = DataSetReader(model, datasets)
    with pytest.raises(ValueError, match="got one without 'offset', which others have"):
        reader.read(datasets[0])
    reader.read(GOOD)


@pytest.mark.parametrize("in_memory", [(), ["rows of a table", GOOD]])
def test_else_the_first_is_the_rule(model: pm.Model, in_memory: Any) -> None:
    reader = DataSetReader(model, in_memory)
    reader.read({"y": [1.0]})
    with pytest.raises(ValueError, match="with 'offset', which the first does not have"):
        reader.read(GOOD)
    with pytest.raises(ValueError, match="without 'y', which others have"):
        reader.read({"offset": 2.0})


def test_what_no_data_set_has_is_that_of_the_model(model: pm.Model) -> None:
    reader = DataSetReader(model, [{"y": [1.0]}, {"y": [2.0]}])
    for values in (1.0, 2.0):
        assert reader.read({"y": [values]}).names == {"y"}
