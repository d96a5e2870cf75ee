"""The contract: columns and their common dtype, names, and rows that are taken from blocks."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou.sources as by
from bayou.sources.base.field import check_no_text
from bayou.sources.base.row_numbers import check_rows


class Blocks(by.Source):
    """Rows 0, 1, ... in blocks, each read in pieces, that counts what is read."""

    def __init__(self, sizes: Sequence[int], known: Sequence[bool], piece: int = 3) -> None:
        self.sizes, self.known, self.piece = sizes, known, piece
        self.asked: list[int] = []

    @property
    def fields(self) -> dict[str, by.Field]:
        return {
            "row": by.Field("row", np.dtype("int64")),
            "pair": by.Field("pair", np.dtype(float), (2,)),
        }

    @property
    def blocks(self) -> list[int | None]:
        return [size if known else None for size, known in zip(self.sizes, self.known, strict=True)]

    def read(self, block: int, names: Sequence[str]) -> Iterator[by.Table]:
        self.asked.append(block)
        start, stop = sum(self.sizes[:block]), sum(self.sizes[: block + 1])
        for first in range(start, stop, self.piece):
            rows = np.arange(first, min(first + self.piece, stop))
            table = {"row": rows, "pair": np.stack([rows, -rows], axis=1).astype(float)}
            yield {name: table[name] for name in names}


def arrays() -> by.Source:
    return by.source(
        {
            "count": np.array([1, 2**60 + 1, 3]),
            "small": np.array([1, 2, 3], dtype="int8"),
            "big": np.array([1, 2, 2**63], dtype="uint64"),
            "x": np.array([0.5, 1.5, np.nan]),
            "float": np.array([0.5, 1.5, 2.5], dtype="float32"),
            "late": np.array([True, False, True]),
            "day": np.array(["2013-01-01", "2013-01-02", "2013-01-03"], dtype="M8[D]"),
            "carrier": np.array(["UA", "AA", "UA"]),
            "pair": np.zeros((3, 2)),
        }
    )


@given(data=st.data())
def test_take_reads_the_blocks_that_hold_the_rows(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=6).filter(any))
    known = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    source = Blocks(sizes, known, data.draw(st.integers(1, 4)))
    rows = np.array(data.draw(st.lists(st.integers(0, sum(sizes) - 1))), dtype=np.int64)
    taken = source.take(rows, ["pair", "row"])
    assert list(taken) == ["pair", "row"]
    np.testing.assert_array_equal(taken["row"], rows)
    np.testing.assert_array_equal(taken["pair"], np.stack([rows, -rows], axis=1))
    # Blocks without rows are read only for their size, and none is read twice.
    assert sorted(set(source.asked)) == source.asked
    stops = np.cumsum(sizes)
    holding = set(np.searchsorted(stops, rows, side="right"))
    last = max(holding, default=-1)
    unknown = {block for block in range(last) if not known[block]}
    assert holding <= set(source.asked) <= holding | unknown


def test_take_of_no_fields_reads_nothing() -> None:
    source = Blocks([3], [True])
    assert source.take(np.array([1]), []) == {}
    assert source.asked == []


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("row", [-1, 5, 2**62])
def test_take_refuses_rows_that_are_none(known: bool, row: int) -> None:
    with pytest.raises(IndexError, match=rf"`rows` must be at least 0.*, got {row}\.\nHint: rows"):
        Blocks([3, 2], [True, known]).take(np.array([0, row]), ["row"])


def test_rows_must_be_integers() -> None:
    with pytest.raises(
        TypeError, match=r"`rows` must be an array of int64, got float64\.\nHint: c"
    ):
        arrays().take(np.array([0.0]), ["x"])
    with pytest.raises(TypeError, match=r"`rows` must be an array of int64, got list\."):
        check_rows([0], None)


def test_names_are_checked_and_near_ones_are_offered() -> None:
    wrong = (
        r"Each name must be a field of the source, got 'cuont'\.\nHint: did you mean 'count'\? The"
    )
    source = arrays()
    with pytest.raises(ValueError, match=wrong + r" fields are 'count', 'small', 'big', 'x', "):
        source["cuont"]
    with pytest.raises(ValueError, match=wrong):
        source[["x", "cuont"]]
    with pytest.raises(ValueError, match=wrong):
        source.take(np.array([0]), ["cuont"])
    with pytest.raises(ValueError, match=wrong):
        next(source.read(0, ["cuont"]))
    with pytest.raises(ValueError, match=r"got 'zz'\.\nHint: The fields are 'row', 'pair'\."):
        Blocks([1], [True])["zz"]


def test_many_fields_are_not_all_listed() -> None:
    source = by.source({f"field{number}": np.zeros(1) for number in range(30)})
    with pytest.raises(ValueError, match=r"'field19', and 10 more\."):
        source["y"]


def test_names_of_a_column_must_be_text_some_and_different() -> None:
    with pytest.raises(TypeError, match=r"`name` must be the name of a field or a list .* got 0\."):
        arrays()[0]
    with pytest.raises(ValueError, match=r"`name` must name at least one field, got an empty list"):
        arrays()[[]]
    with pytest.raises(ValueError, match=r"Each field must be named once, got 'x' twice\."):
        arrays()[["x", "x"]]


def test_a_source_is_no_sequence() -> None:
    with pytest.raises(TypeError, match="`name` must be the name of a field"):
        list(arrays())


def test_one_field() -> None:
    source = arrays()
    for name, dtype, shape in [
        ("x", "float64", ()),
        ("late", "bool", ()),
        ("day", "M8[D]", ()),
        ("pair", "float64", (2,)),
        ("count", "int64", ()),
    ]:
        column = source[name]
        assert (column.dtype, column.shape, column.num_rows) == (np.dtype(dtype), shape, 3)
        assert column.names == (name,)
        table = source.take(np.array([2, 0]), column.names)
        assert column.array(table) is table[name]
        out = np.empty((2, *shape), dtype=dtype)
        assert column.array(table, out) is out
        np.testing.assert_array_equal(out, table[name])


@pytest.mark.parametrize(
    ("names", "dtype"),
    [
        (["x"], "float64"),
        (["small", "late"], "int8"),
        (["small", "count"], "int64"),
        (["small", "x"], "float64"),
        (["late", "float"], "float32"),
        (["small", "float"], "float32"),
        (["day"], "M8[D]"),
    ],
)
def test_fields_side_by_side(names: list[str], dtype: str) -> None:
    source = arrays()
    column = source[names]
    assert (column.dtype, column.shape) == (np.dtype(dtype), (len(names),))
    table = source.take(np.array([2, 0, 2]), names)
    array = column.array(table)
    assert array.dtype == np.dtype(dtype)
    for place, name in enumerate(names):
        np.testing.assert_array_equal(array[:, place], table[name])
    out = np.empty_like(array)
    assert column.array(table, out) is out
    np.testing.assert_array_equal(out, array)


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [("count", "x", 2**60 + 1), ("count", "big", 2**60 + 1)],
)
def test_a_value_that_the_common_dtype_loses_is_refused(
    first: str, second: str, wrong: int
) -> None:
    column = arrays()[[first, second]]
    lost = rf"`{first}` must keep their value as float64, .* got {wrong} \(int64\)\.\nHint: take"
    with pytest.raises(ValueError, match=lost):
        column.array(arrays().take(np.array([0, 1]), column.names))
    kept = column.array(arrays().take(np.array([0, 2]), column.names))
    assert kept[1, 0] == 3


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**53 + 2, 2**60, -(2**63)])
def test_large_values_that_are_kept_are_taken(value: int) -> None:
    source = by.source({"n": np.array([value]), "x": np.array([0.5])})
    assert source[["n", "x"]].array(source.take(np.array([0]), ["n", "x"]))[0, 0] == value


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_large_values_that_are_rounded_are_not(value: int) -> None:
    source = by.source({"n": np.array([value]), "x": np.array([0.5])})
    with pytest.raises(ValueError, match=rf"`n` must keep their value as float64.*got {value} "):
        source[["n", "x"]].array(source.take(np.array([0]), ["n", "x"]))


def test_what_does_not_go_side_by_side() -> None:
    import pandas as pd

    source = arrays()
    with pytest.raises(
        TypeError, match=r"matrix must be numbers, one for each row, got `carrier` of"
    ):
        source[["x", "carrier"]]
    with pytest.raises(TypeError, match=r"got `pair` of shape \(2,\) a row\.\nHint: take such a"):
        source[["x", "pair"]]
    with pytest.raises(TypeError, match=r"got `day` of datetime64\[D\] beside `x` of float64\.\nH"):
        source[["x", "day"]]
    coded = by.source(pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["u", "v"])}))
    assert coded["b"].categories == ("u", "v")
    with pytest.raises(TypeError, match=r"got `b` of categories\.\nHint: their codes are no quan"):
        coded[["a", "b"]]


def test_text_has_no_array() -> None:
    source = arrays()
    column = source["carrier"]
    assert column.dtype == np.dtype(object)
    refused = r"booleans, dates or categories, got `carrier` of text or other objects\.\nHint: cho"
    with pytest.raises(TypeError, match=refused):
        column.array(source.take(np.array([0]), ["carrier"]))
    with pytest.raises(TypeError, match=refused):
        check_no_text(tuple(source.fields.values()))


def test_size_of_a_row() -> None:
    assert [field.row_bytes for field in Blocks([1], [True]).fields.values()] == [8, 16]
