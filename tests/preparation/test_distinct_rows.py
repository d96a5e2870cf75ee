"""The groups of rows: those that a counter of Python finds, whatever the fields and the pieces."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayou.preparation import distinct_rows
from bayou.preparation.distinct_rows import (
    Layout,
    RepetitionError,
    group_outcomes,
    group_rows,
)
from bayou.sources import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = ["f8", "f4", "f2", "i8", "u2", "i1", "?", "M8[D]", "m8[ms]", "c16"]


def field_of(name: str, values: NDArray[Any]) -> Field:
    return Field(name, values.dtype, values.shape[1:])


@st.composite
def tables(draw: st.DrawFn) -> dict[str, NDArray[Any]]:
    """Fields of any dtype and shape, with rows that come several times."""
    num_distinct = draw(st.integers(1, 5))
    rows = draw(hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, num_distinct - 1)))
    shapes = draw(st.lists(st.sampled_from([(), (1,), (2,), (2, 2)]), min_size=1, max_size=3))
    return {
        f"field {number}": draw(
            hnp.arrays(np.dtype(draw(st.sampled_from(DTYPES))), (num_distinct, *shape))
        )[rows]
        for number, shape in enumerate(shapes)
    }


@given(table=tables(), size=st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_rows_are_counted_by_their_bits(table: dict[str, NDArray[Any]], size: int) -> None:
    num_rows = len(next(iter(table.values())))
    fields = tuple(field_of(name, values) for name, values in table.items())
    cut = (
        {n: v[start : start + size] for n, v in table.items()} for start in range(0, num_rows, size)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct_rows, "PIECE_ROWS", 2)
        values, counts = group_rows(cut, Layout(fields, None), 10**6, lambda _: None)

    def bits(table: dict[str, NDArray[Any]], row: int) -> tuple[bytes, ...]:
        return tuple(table[field.name][row].tobytes() for field in fields)

    expected = Counter(bits(table, row) for row in range(num_rows))
    assert {bits(values, row): count for row, count in enumerate(counts)} == expected
    for field in fields:
        assert values[field.name].dtype == field.dtype
        assert values[field.name].shape[1:] == field.shape


@given(
    values=hnp.arrays(
        np.int8, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(-128, 127)
    ),
    counted=st.sampled_from([None, "int64", "float64"]),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=40)
def test_few_possible_rows_are_counted_as_any(
    values: NDArray[Any], counted: str | None, seed: int
) -> None:
    """Without a hash table, also of rows that count 0 times."""
    table: dict[str, NDArray[Any]] = {"a": values[:, 0], "b": values[:, 1].astype(np.int64) // 50}
    layout = Layout(
        (field_of("a", table["a"]), field_of("b", table["b"])),
        None if counted is None else Field("n", np.dtype(counted)),
    )
    if counted is not None:
        table["n"] = np.random.default_rng(seed).integers(0, 3, len(values)).astype(counted)
    found = []
    for most in (1, 2**22):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(distinct_rows, "MOST_DENSE", most)
            found.append(group_rows(iter([table]), layout, 10**6, lambda _: None))
    (rows, counts), (others, other_counts) = found
    assert counts.dtype == other_counts.dtype
    np.testing.assert_array_equal(counts, other_counts)
    for name in ("a", "b"):
        np.testing.assert_array_equal(rows[name], others[name])


def test_groups_come_in_the_order_of_their_values() -> None:
    generator = np.random.default_rng(1)
    table = {"a": generator.integers(-3, 3, 500), "b": generator.integers(0, 3, 500) / 2}
    layout = Layout(tuple(field_of(name, values) for name, values in table.items()), None)
    values, counts = group_rows(iter([table]), layout, 10**6, lambda _: None)
    pairs = list(zip(values["a"], values["b"], strict=True))
    assert pairs == sorted(pairs)
    assert counts.sum() == 500


def test_counts_are_added_up() -> None:
    table = {"a": np.array([1, 1, 2]), "n": np.array([2.5, 0.5, 1.0])}
    layout = Layout((field_of("a", table["a"]),), field_of("n", table["n"]))
    values, counts = group_rows(iter([table, table]), layout, 10**6, lambda _: None)
    assert values["a"].tolist() == [1, 2]
    assert counts.tolist() == [6.0, 2.0]


def test_too_many_distinct_rows_are_told_with_the_rows_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distinct_rows, "PIECE_ROWS", 100)
    pieces = ({"a": np.arange(start, start + 100)} for start in range(0, 10**6, 100))
    layout = Layout((Field("a", np.dtype(np.int64)),), None)
    seen: list[int] = []
    message = (
        r"^`memory` must hold the distinct rows, got 20,000 bytes for more than 250 rows: "
        r"300 of the first 300 differ\.\nHint: leave out columns"
    )
    with pytest.raises(RepetitionError, match=message):
        group_rows(pieces, layout, 20_000, seen.append)
    # It stops there, and does not read the rest.
    assert sum(seen) == 200


@given(
    groups=hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 4)),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=30)
def test_outcomes_have_the_moments_of_their_group(groups: NDArray[Any], seed: int) -> None:
    outcomes = 1e6 + np.random.default_rng(seed).normal(size=(len(groups), 2))
    table = {"group": groups, "outcome": outcomes}
    layout = Layout((field_of("group", groups),), None)
    found = group_outcomes(table, layout, [field_of("outcome", outcomes)])
    assert found.values["group"].tolist() == sorted(set(groups.tolist()))
    for row, group in enumerate(found.values["group"]):
        own = outcomes[groups == group]
        assert found.counts[row] == len(own)
        np.testing.assert_allclose(found.means["outcome"][row], own.mean(axis=0), rtol=1e-15)
        np.testing.assert_allclose(
            found.squares["outcome"][row], own.var(axis=0) * len(own), rtol=1e-8, atol=1e-15
        )
