"""The comparison of two records of provenance: each kind of difference in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from bayou.provenance.record import Provenance
from bayou.provenance.verify_result import Verification, compare

CONTAINER = {
    "columns": ["a"],
    "categories": None,
    "source": "pandas.DataFrame",
    "rows": 3,
    "dtype": "float64",
    "shape": [],
    "observed_by": [],
    "fingerprint": "1234",
}


def record(**changes: Any) -> Provenance:
    groups = {
        "versions": {"pymc": "6.4"},
        "dims": {"group": "ab"},
        "variables": {"b": "cd"},
        "containers": {"y": CONTAINER},
    }
    return Provenance(**groups | changes)


def container(**changes: Any) -> Provenance:
    return record(containers={"y": CONTAINER | changes})


@pytest.mark.parametrize(
    ("model", "difference"),
    [
        (
            container(columns=None),
            "has columns (none); the result was computed with columns (a)",
        ),
        (container(dtype="int8"), "has dtype int8; the result was computed with dtype float64"),
        (container(rows=4), "has 4 rows; the result was computed with 3 rows"),
        (container(shape=[2]), "has shape (2) of a row; the result was computed with shape () of"),
        (
            container(observed_by=["z"]),
            "has observed variables (z); the result was computed with observed variables ()",
        ),
        (container(categories="ef"), "has different categories"),
        (container(fingerprint="5678"), "has different values"),
        # The first of several differences is enough.
        (container(rows=4, fingerprint="5678"), "has 4 rows; the result"),
    ],
)
def test_a_container_that_differs(model: Provenance, difference: str) -> None:
    [found] = compare(record(), model).differences
    assert found.startswith(f"container 'y' {difference}")


def test_the_source_is_not_compared() -> None:
    assert compare(record(), container(source="polars.DataFrame"))


def test_names_in_one_record_alone() -> None:
    more = record(dims={"group": "ab", "hour": "ef"})
    assert compare(more, record()).differences == (
        "dim 'hour' is in the result but not in the model",
    )
    assert compare(record(), more).differences == (
        "dim 'hour' is in the model but not in the result",
    )


def test_dims_and_variables_that_differ() -> None:
    found = compare(record(), record(dims={"group": "other"}, variables={"b": "other"}))
    assert found.differences == (
        "dim 'group' has different labels",
        "variable 'b' is defined differently",
    )


def test_versions_are_given_where_definitions_differ_alone() -> None:
    newer = {"versions": {"pymc": "6.5"}}
    assert compare(record(), record(**newer))
    _, reason = compare(record(), record(**newer, variables={"b": "other"})).differences
    assert reason == (
        "pymc is 6.5; the result was computed with 6.4, which may build a different graph for the "
        "same definition"
    )


def test_values_that_were_not_recorded() -> None:
    [found] = compare(container(fingerprint=None), record()).differences
    assert found.startswith("container 'y' cannot be compared: its source could not be read")


def test_rows_of_many_data_sets_are_not_compared() -> None:
    many = record().of_many()
    found = compare(many, container(rows=9, fingerprint="5678"))
    assert found.matches
    assert not found.has_rows
    compared = "this model (rows of many data sets are not compared)"
    assert str(found) == f"The result matches {compared}."
    assert str(compare(many, record(variables={}))).startswith(
        f"The result does not match {compared}:\n- variable 'b'"
    )


def test_it_prints_its_differences() -> None:
    same, other = Verification(()), Verification(("variable 'b' is defined differently",))
    assert same
    assert not other
    assert repr(same) == str(same) == "The result matches this model and its data."
    assert str(other) == (
        "The result does not match this model and its data:\n- variable 'b' is defined differently"
    )
    assert "<li>variable &#x27;b&#x27; is defined differently</li>" in other._repr_html_()
