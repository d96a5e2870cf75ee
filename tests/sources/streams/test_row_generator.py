"""Functions that return iterators: rows, blocks, and all that may go wrong on the way."""

from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import numpy as np
import pytest

import bayou.sources as by

type Items = Callable[[], Iterator[dict[str, Any]]]


def of(*items: Any) -> Items:
    return lambda: iter(items)


def read(source: by.Source, *names: str) -> dict[str, np.ndarray]:
    tables = list(source.read(0, names))
    return {name: np.concatenate([table[name] for table in tables]) for name in names}


def test_rows() -> None:
    source = by.source(of({"x": 1.5, "n": 1, "s": "a"}, {"x": 2.5, "n": 2, "s": "bc"}))
    kinds = {name: field.dtype for name, field in source.fields.items()}
    assert kinds == {"x": np.dtype(float), "n": np.dtype(int), "s": np.dtype(object)}
    assert {name: values.tolist() for name, values in read(source, "s", "x").items()} == {
        "s": ["a", "bc"],
        "x": [1.5, 2.5],
    }
    assert (source.blocks, source.num_rows) == ((None,), None)


def test_rows_of_vectors_and_numbers() -> None:
    source = by.source(of({"v": np.ones(3), "y": 0}, {"v": [2, 3, 4.0], "y": 1}))
    assert source["v"].shape == (3,)
    assert read(source, "v")["v"].tolist() == [[1, 1, 1], [2, 3, 4]]


def test_blocks() -> None:
    source = by.source(of({"v": np.ones((2, 3))}, {"v": np.zeros((0, 3))}, {"v": np.ones((1, 3))}))
    assert source["v"].shape == (3,)
    assert read(source, "v")["v"].shape == (3, 3)


def test_rows_come_in_pieces() -> None:
    def make() -> Iterator[dict[str, float]]:
        return ({"n": number} for number in range(10_000))

    source = by.source(make)
    assert [len(table["n"]) for table in source.read(0, ["n"])] == [4096, 4096, 1808]


def test_an_endless_generator_can_be_read_from_its_begin() -> None:
    source = by.source(lambda: ({"n": number} for number in count()))
    assert source.take(np.array([5000, 3]), ["n"])["n"].tolist() == [5000, 3]


def test_a_generator_that_raises() -> None:
    def make() -> Iterator[dict[str, float]]:
        yield {"x": 0.0}
        yield {"x": 1.0}
        raise OSError("disk is gone")

    source = by.source(make)
    raised = r"`make` must yield all of its items, got OSError at item 2: disk is gone\nHint: items"
    with pytest.raises(RuntimeError, match=raised) as caught:
        read(source, "x")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_generator_that_raises_at_once() -> None:
    def make() -> Iterator[dict[str, float]]:
        raise OSError("disk is gone")
        yield {}

    with pytest.raises(RuntimeError, match=r"got OSError at item 0: disk is gone"):
        by.source(make)


def test_a_generator_that_ends_early() -> None:
    source = by.source(of({"x": 0.0}, {"x": 1.0}), num_rows=3)
    assert source.num_rows == 3
    early = (
        r"must yield 3 rows, the number given by `num_rows`, got 2 and its end after item 1\.\nH"
    )
    with pytest.raises(ValueError, match=early):
        read(source, "x")


def test_a_generator_that_does_not_end() -> None:
    source = by.source(lambda: ({"n": np.arange(2) + number} for number in count()), num_rows=4)
    with pytest.raises(ValueError, match=r"must yield 4 rows, .* got 6 up to item 2\."):
        read(source, "n")


def test_another_number_of_rows_at_a_later_pass() -> None:
    items = [{"x": 0.0}, {"x": 1.0}]
    source = by.source(lambda: iter(items))
    read(source, "x")
    items.pop()
    with pytest.raises(
        ValueError, match=r"2 rows, the number in the first pass, got 1 and its end"
    ):
        read(source, "x")


def test_whole_numbers_among_floats() -> None:
    source = by.source(of({"x": 0.5}, {"x": 1}, {"x": None}, {"x": Decimal(2)}), nulls="drop")
    [table] = source.read(0, ["x"])
    np.testing.assert_array_equal(table["x"], np.array([0.5, 1, 2]), strict=True)


def test_times_as_databases_return_them() -> None:
    rows = [{"day": date(2020, 1, 1 + n), "at": time(n), "wait": timedelta(n)} for n in range(2)]
    [table] = by.source(of(*rows)).read(0, ["day", "at", "wait"])
    days = np.array(["2020-01-01", "2020-01-02"], "M8[D]")
    np.testing.assert_array_equal(table["day"], days, strict=True)
    np.testing.assert_array_equal(table["at"], np.array([0, 3600 * 10**6], "m8[us]"), strict=True)
    np.testing.assert_array_equal(table["wait"], np.array([0, 86400 * 10**6], "m8[us]"))


@pytest.mark.parametrize(
    ("item", "got"),
    [
        ({"x": 2**53 + 1}, r"float64 of shape \(\) a row, got int64 of shape \(\) a row"),
        ({"x": "a"}, r"float64 of shape \(\) a row, got object of shape \(\) a row"),
        ({"x": np.ones(2)}, r"float64 of shape \(\) a row, got float64 of shape \(2,\) a row"),
        ({"x": np.float32(1)}, r"float64 of shape \(\) a row, got float32 of shape \(\) a row"),
    ],
)
def test_a_row_that_changes_shape_or_dtype(item: dict[str, Any], got: str) -> None:
    source = by.source(of({"x": 0.0}, {"x": 1.0}, item, {"x": 2.0}))
    changed = rf"must yield `x` as in its first item, {got} at item 2\.\nHint: yield arrays of one"
    with pytest.raises(ValueError, match=changed):
        read(source, "x")


@pytest.mark.parametrize(
    ("block", "got"),
    [
        (np.ones((2, 4)), r"float64 of shape \(3,\) a row, got float64 of shape \(4,\) a row"),
        (np.ones((2, 3), int), r"float64 of shape \(3,\) a row, got int64 of shape \(3,\) a row"),
    ],
)
def test_a_block_that_changes_shape_or_dtype(block: np.ndarray, got: str) -> None:
    source = by.source(of({"x": np.ones((2, 3))}, {"x": block}))
    with pytest.raises(ValueError, match=rf"as in its first item, {got} at item 1\."):
        read(source, "x")


def test_an_item_of_other_fields() -> None:
    source = by.source(of({"x": 0.0}, {"y": 0.0}))
    with pytest.raises(ValueError, match=r"yield the fields 'x' in each item, got 'y' at item 1\."):
        read(source, "x")


def test_a_block_of_fields_of_unequal_length() -> None:
    unequal = r"fields have the same number of rows, got \{'x': 2, 'y': 3\} at item 0\.\nHint: the"
    with pytest.raises(ValueError, match=unequal):
        by.source(of({"x": np.zeros(2), "y": np.zeros(3)}))


def test_a_block_with_a_number_in_it() -> None:
    source = by.source(of({"x": np.zeros(2), "y": np.zeros(2)}, {"x": np.zeros(2), "y": 0.0}))
    with pytest.raises(ValueError, match=r"that form an array, at item 1: `y` must be an array"):
        read(source, "x")


def test_ragged_rows() -> None:
    source = by.source(of({"x": 0.0, "v": [1, 2]}, {"x": 0.0, "v": [[1], [2, 3]]}))
    with pytest.raises(ValueError, match=r"that form an array, at item 1: "):
        read(source, "x")


def test_items_must_be_dicts_with_names() -> None:
    with pytest.raises(
        TypeError, match=r"must yield dicts of .* got float at item 0\.\nHint: yield"
    ):
        by.source(of(1.0))
    with pytest.raises(TypeError, match=r"names of fields must be text, got 0\."):
        by.source(of({0: 1.0}))


def test_nothing_is_yielded() -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no rows\."):
        by.source(of())
    with pytest.raises(ValueError, match=r"at least one field and one row, got no fields\."):
        by.source(of({}))


def test_an_iterator_that_is_used_up() -> None:
    items = iter([{"x": 0.0}])
    once = r"`make` must return a new iterator each time, got the same one twice\.\nHint: pass the"
    with pytest.raises(ValueError, match=once):
        by.source(lambda: items)
    with pytest.raises(TypeError, match=r"got generator\."):
        by.source({"x": number} for number in range(3))


NULLS = [
    {"x": None, "n": 1},
    {"x": np.ma.masked, "n": 1},
]


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("place", [0, 1])
def test_rows_with_nulls(null: dict[str, Any], place: int) -> None:
    items = [{"x": 0.5, "n": 0}, {"x": 2.5, "n": 2}]
    items.insert(place, null)
    met = rf"`x` must have no nulls, got one in row {place} of item {place}\."
    with pytest.raises(ValueError, match=met):
        read(by.source(of(*items)), "n")
    source = by.source(of(*items), nulls="drop", num_rows=2)
    assert source.num_dropped is None
    assert read(source, "n")["n"].tolist() == [0, 2]
    assert source.num_dropped == 1


def test_blocks_with_nulls() -> None:
    block = {"x": np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), "n": np.arange(3)}
    with pytest.raises(ValueError, match=r"`x` must have no nulls, got one in row 1 of item 0\."):
        by.source(of(block))
    source = by.source(of(block, block), nulls="drop")
    assert read(source, "n")["n"].tolist() == [0, 2, 0, 2]
    assert source.num_dropped == 2


def test_vectors_with_masked_values() -> None:
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    source = by.source(of({"v": np.ones(2), "y": 0}, {"v": masked, "y": 1}), nulls="drop")
    assert read(source, "y")["y"].tolist() == [0]


def test_all_rows_have_nulls() -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no rows\."):
        by.source(of({"x": None}, {"x": None}), nulls="drop")


@pytest.mark.parametrize("num_rows", [-1, 0, 1.5, True, "x"])
def test_numbers_of_rows_that_are_none(num_rows: Any) -> None:
    message = rf"`num_rows` must be a whole number of at least 1, got {num_rows!r}\.\nHint: leave"
    with pytest.raises(ValueError, match=message):
        by.source(of({"x": 0.0}), num_rows=num_rows)
