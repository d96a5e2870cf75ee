"""What containers note about their columns, and the kinds of columns."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest

from bayou.containers.reading.columns import ColumnKind, Columns, columns_of, kind_of, kind_text
from bayou.sources.base.field import Field


@pytest.mark.parametrize(
    ("field", "kind", "text"),
    [
        (Field("v", np.dtype(float)), ColumnKind.NUMBERS, "numbers or booleans"),
        (Field("v", np.dtype(bool)), ColumnKind.NUMBERS, "numbers or booleans"),
        (Field("v", np.dtype("M8[D]")), ColumnKind.DATES, "dates"),
        (Field("v", np.dtype(object)), ColumnKind.CATEGORIES, "text or categories"),
        (Field("v", np.dtype("i4"), (), ("a", "b")), ColumnKind.CATEGORIES, "text or categories"),
        (Field("v", np.dtype("m8[s]")), ColumnKind.DURATIONS, "durations or times of day"),
        (
            Field("v", np.dtype(object), stored_type="list<double>"),
            ColumnKind.OTHER,
            "list<double>",
        ),
        (Field("v", np.dtype(complex)), ColumnKind.OTHER, "complex128"),
    ],
)
def test_kinds_of_fields(field: Field, kind: ColumnKind, text: str) -> None:
    assert kind_of(field) is kind
    assert kind_text(field) == text


@pytest.mark.parametrize("variable", [pytensor.shared(1.0), pm.Normal.dist(), 3, None])
def test_other_variables_have_no_columns(variable: Any) -> None:
    assert columns_of(variable) is None


def test_columns_are_read_off_the_variable() -> None:
    variable = pytensor.shared(1.0)
    variable.tag.columns = Columns(("a",), False, None, None, None, "refuse", 0, "dict")
    assert columns_of(variable) is columns_of(variable.clone()) is variable.tag.columns
