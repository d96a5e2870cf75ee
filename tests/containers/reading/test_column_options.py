"""The arguments of Data that say what becomes of columns: which go together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayou.containers.reading.column_options import read_options
from bayou.sources.base.field import Field
from tests.containers.helpers import categories_refuse, columns_refuse
from tests.containers.tables import FRAME


def test_columns_that_are_no_names_are_refused() -> None:
    message = "`columns` of data container 'x' must be a name or a list of names, as text, got "
    for wrong in ([], 3, [1, 2], {"hour"}):
        columns_refuse(TypeError, message, FRAME, columns=wrong)
    columns_refuse(
        ValueError, "must name a column once, got 'hour' twice", FRAME, columns=["hour", "hour"]
    )
    columns_refuse(ValueError, "without 'hours' .for 'x'.", FRAME, columns="hours")


def test_arguments_that_go_with_columns_are_refused_without() -> None:
    for option, given_value in {"categories": "c", "unknown": "other", "missing": "drop"}.items():
        message = f"`{option}` of data container 'x' must come with `columns`, got none"
        columns_refuse(ValueError, message, [1.0], **{option: given_value})


def test_arguments_of_another_kind_are_refused() -> None:
    columns_refuse(
        ValueError, "`missing` must be one of .*, got 'fill'", FRAME, columns="late", missing="fill"
    )
    columns_refuse(
        TypeError, "`categories` .* must be a string", FRAME, columns="carrier", categories=1
    )
    columns_refuse(
        ValueError, "`unknown` .* with `categories`", FRAME, columns="carrier", unknown="other"
    )
    columns_refuse(
        ValueError,
        "`categories` .* must come with one column",
        FRAME,
        columns=["carrier"],
        categories="carriers",
    )
    columns_refuse(
        ValueError,
        "`in_memory_size` must come with a source",
        FRAME,
        columns="hour",
        in_memory_size=2,
    )


WORDS = ["UA", "AA", "UA", "B6"]


def test_text_without_a_dim_is_refused() -> None:
    frame = {"carrier": WORDS, "hour": [1, 2, 3, 4]}
    message = (
        "^The column 'carrier' of data container 'x' must hold numbers, booleans, dates or "
        "durations, got text or categories.\nHint: name the dim of its categories, such as "
        "categories='carriers'"
    )
    categories_refuse(TypeError, message, frame, columns="carrier")
    message = "got text or categories.\nHint: give it a container of its own, with `categories`"
    categories_refuse(TypeError, message, frame, columns=["hour", "carrier"])


def test_names_of_columns_must_be_text() -> None:
    for frame in pd.DataFrame([[1, 2]]), {0: [1], 1: [2]}:
        message = "^The names of fields must be text, got 0.\nHint: rename the columns"
        categories_refuse(TypeError, message, frame, columns="0")
        categories_refuse(TypeError, message, frame, columns=["hour", "0"])
        categories_refuse(
            ValueError,
            "without 'hour' .*\nHint: the data have the columns 0, 1.$",
            frame,
            columns="hour",
        )
        categories_refuse(TypeError, "or a list of names, as text, got 0.\n", frame, columns=0)


def test_options_are_returned_as_they_are_used() -> None:
    assert read_options("x", None, None, None, "refuse").names == ()
    vector = read_options("x", "carrier", "carriers", "other", "drop")
    assert (vector.names, vector.is_matrix) == (("carrier",), False)
    assert (vector.categories, vector.unknown, vector.missing) == ("carriers", "other", "drop")
    matrix = read_options("x", ["a", "b"], None, None, "impute")
    assert (matrix.names, matrix.is_matrix) == (("a", "b"), True)


def test_other_kinds_are_refused_by_name() -> None:
    options = read_options("x", "wait", None, None, "refuse")
    with pytest.raises(
        TypeError,
        match=r"^The column 'wait' of data container 'x' must hold numbers, booleans, dates, "
        r"durations, text or categories, got list<double>\.\nHint: convert it to numbers first, or",
    ):
        options.check_fields([Field("wait", np.dtype(object), stored_type="list<double>")])
