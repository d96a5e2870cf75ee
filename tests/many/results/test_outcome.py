"""Outcomes of data sets: failures as text and back, and the axes of results."""

import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.errors import WorkerDiedError
from bayou.many.results.outcome import Failure, Outcome, ResultAxes


@given(st.sampled_from([ValueError, OSError, WorkerDiedError]), st.text())
def test_failures_survive_the_table(kind: type[Exception], message: str) -> None:
    failure = Failure.of(kind(message))
    assert Failure.parse(str(failure)) == failure
    assert failure.is_of_worker == (kind is WorkerDiedError)


def test_sizes_are_those_of_all_arrays() -> None:
    groups = {"posterior": {"mu": np.zeros((2, 3))}, "sample_stats": {"lp": np.zeros(4)}}
    assert Outcome("a", "", groups).num_bytes == 8 * 10
    assert Outcome("a", "").num_bytes == 0


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model(coords={"term": ["level", "slope"]}) as model:
        pm.Normal("b", dims="term")
        pm.Normal("plain", shape=(2, 3))
    return model


def test_axes_are_named_by_dims_or_numbers(model: pm.Model) -> None:
    axes = ResultAxes.of(model, ("seconds",), {})
    assert axes.names("b", 4) == ("dataset", "chain", "draw", "term")
    inner = ("plain_dim_0", "plain_dim_1")
    assert axes.names("plain", 5) == ("dataset", "chain", "draw", *inner)
    assert axes.coords["term"] == ("level", "slope")
    assert axes.judged == ()
    assert ResultAxes.of(model, ("rhat",), {}).judged == ("b", "plain")


@pytest.mark.parametrize("reserved", ["dataset", "chain", "draw"])
def test_names_of_axes_are_taken(reserved: str) -> None:
    with pm.Model() as model:
        pm.Normal(reserved)
    with pytest.raises(ValueError, match=f"no variable or dim .* got '{reserved}'"):
        ResultAxes.of(model, (), {})


def test_dims_are_no_data_sets_and_no_variables() -> None:
    # PyMC refuses dims with the names of the others.
    with pm.Model(coords={"dataset": ["a", "b"]}) as model:
        pm.Normal("mu", dims="dataset")
    with pytest.raises(ValueError, match=r"no variable or dim .* got 'dataset'"):
        ResultAxes.of(model, (), {})
