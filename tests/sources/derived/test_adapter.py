"""An object with three members is a whole source, and others that it has are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from bayou.sources import Field, Source, Table
from bayou.sources.derived.adapter import WrappedSource
from bayou.testing import check_source


class Three:
    """The rows 0 to 6, with the members that a source needs."""

    fields: Mapping[str, Any] = {
        "x": Field("x", np.dtype(float)),
        "n": Field("n", np.dtype(np.int64)),
    }
    blocks: Sequence[int | None] = (4, 3)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        rows = np.arange(4) if block == 0 else np.arange(4, 7)
        yield {name: rows.astype(self.fields[name].dtype) for name in names}


class More(Three):
    """The same with all that a source may have."""

    num_rows = 7
    num_dropped = 2
    where = "somewhere"
    random_access = True

    def __init__(self) -> None:
        self.taken: list[list[int]] = []

    def null_counts(self) -> dict[str, int]:
        return {"x": 2}

    def bounds(self, block: int, name: str) -> tuple[int, int]:
        return (4 * block, 4 * block + 3)

    def take(self, rows: np.ndarray, names: Sequence[str]) -> Table:
        self.taken.append(rows.tolist())
        return {name: rows.astype(self.fields[name].dtype) for name in names}


ROWS = np.array([6, 0, 6], dtype=np.int64)


def test_three_members_are_a_source() -> None:
    source = WrappedSource(Three())
    check_source(source, pickles=True)
    assert isinstance(source, Source)
    assert (source.num_rows, source.num_dropped, source.where) == (7, 0, "Three")
    assert source.null_counts() == {"x": None, "n": None}
    assert source.bounds(0, "n") is None
    assert not source.random_access
    assert source.take(ROWS, ["n"])["n"].tolist() == [6, 0, 6]


def test_members_of_the_object_are_used() -> None:
    inner = More()
    source = WrappedSource(inner)
    assert (source.num_rows, source.num_dropped, source.where) == (7, 2, "somewhere")
    assert source.null_counts() == {"x": 2, "n": None}
    assert source.bounds(1, "n") == (4, 7)
    assert source.random_access
    assert source.take(ROWS, ["n"])["n"].tolist() == [6, 0, 6]
    assert inner.taken == [[6, 0, 6]]


def test_random_access_needs_a_way_to_take_rows() -> None:
    inner = Three()
    inner.random_access = True  # type: ignore[attr-defined]
    assert not WrappedSource(inner).random_access


def test_fields_are_chosen() -> None:
    source = WrappedSource(More(), ["n"])
    assert list(source.fields) == ["n"]
    assert source.null_counts() == {"n": None}
    with pytest.raises(ValueError, match="Each name must be a field of the source, got 'x'"):
        list(source.read(0, ["x"]))
    with pytest.raises(ValueError, match="Each name must be a field of the source, got 'x'"):
        source.take(ROWS, ["x"])
    with pytest.raises(ValueError, match="Each name must be a field of the source, got 'z'"):
        WrappedSource(Three(), ["z"])


@pytest.mark.parametrize("field", [np.dtype(float), Field("y", np.dtype(float)), "x"])
def test_fields_must_be_fields_of_their_name(field: Any) -> None:
    inner = Three()
    inner.fields = {"x": field}
    with pytest.raises(TypeError, match=r"^`fields` must map .* for 'x'\.\nHint: return \{field"):
        WrappedSource(inner)


@pytest.mark.parametrize(
    ("member", "value", "got"),
    [("fields", {}, "no fields"), ("blocks", (), "no rows"), ("num_rows", 0, "no rows")],
)
def test_an_empty_object_is_refused(member: str, value: Any, got: str) -> None:
    inner = Three()
    setattr(inner, member, value)
    with pytest.raises(ValueError, match=f"at least one field and one row, got {got}"):
        WrappedSource(inner)
