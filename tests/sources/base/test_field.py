"""Fields: their bytes and kinds, chosen by name, with a hint for a name that is close."""

from __future__ import annotations

import numpy as np
import pytest

from bayou.sources.base.field import (
    SHOWN_FIELDS,
    Field,
    check_no_text,
    choose_fields,
    describe_fields,
)

FIELDS = {
    field.name: field
    for field in (
        Field("distance", np.dtype(float)),
        Field("pair", np.dtype("i2"), (2, 3)),
        Field("carrier", np.dtype("i4"), (), ("AA", "UA")),
        Field("name", np.dtype(object)),
    )
}


@pytest.mark.parametrize(
    ("dtype", "shape", "row_bytes"),
    [("f8", (), 8), ("i2", (2, 3), 12), ("?", (5,), 5), ("M8[D]", (), 8), ("f8", (0,), 0)],
)
def test_bytes_of_a_row(dtype: str, shape: tuple[int, ...], row_bytes: int) -> None:
    assert Field("x", np.dtype(dtype), shape).row_bytes == row_bytes


def test_fields_come_in_the_order_of_the_names() -> None:
    assert choose_fields(FIELDS, ["carrier", "distance"]) == (
        FIELDS["carrier"],
        FIELDS["distance"],
    )
    assert choose_fields(FIELDS, []) == ()


def test_name_of_no_field_is_refused_with_those_that_are_close() -> None:
    message = (
        r"^Each name must be a field of the source, got 'distanc'\.\n"
        r"Hint: did you mean 'distance'\? The fields are 'distance', 'pair', 'carrier', 'name'\.$"
    )
    with pytest.raises(ValueError, match=message):
        choose_fields(FIELDS, ["distanc"])
    with pytest.raises(ValueError, match=r"got 7\.\nHint: The fields are "):
        choose_fields(FIELDS, [7])  # type: ignore[list-item]


def test_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Each field must be named once, got 'pair' twice\.\nH"):
        choose_fields(FIELDS, ["pair", "distance", "pair"])


def test_text_is_no_field_of_a_batch() -> None:
    check_no_text([FIELDS["distance"], FIELDS["pair"], FIELDS["carrier"]])
    message = r"must be numbers, booleans, dates or categories, got `name` of text .*\nHint: choose"
    with pytest.raises(TypeError, match=message):
        check_no_text(list(FIELDS.values()))


def test_fields_are_described_by_name_and_kind() -> None:
    assert describe_fields(FIELDS) == (
        "distance: float64, pair: int16[2, 3], carrier: 2 categories, name: text"
    )
    many = {f"x{n}": Field(f"x{n}", np.dtype(float)) for n in range(SHOWN_FIELDS + 3)}
    assert describe_fields(many).endswith("x7: float64, and 3 more")
