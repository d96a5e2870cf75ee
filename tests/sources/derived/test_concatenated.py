"""Sources one after the other: the rows of all of them, numbered through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou.sources as by
from bayou.sources.base.row_numbers import even_blocks
from bayou.sources.derived.concatenated import ChainSource
from bayou.testing import check_source


class InBlocks(by.Source):
    """Rows without random access, in blocks of 3."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @property
    def fields(self) -> dict[str, by.Field]:
        return {"n": by.Field("n", self.values.dtype)}

    @property
    def blocks(self) -> tuple[int, ...]:
        return even_blocks(len(self.values), 3)

    def null_counts(self) -> dict[str, int | None]:
        return {"n": 1}

    def read(self, block: int, names: object) -> object:
        yield {"n": self.values[3 * block : 3 * block + 3]}


@given(sizes=st.lists(st.integers(1, 8), min_size=1, max_size=5), data=st.data())
def test_rows_are_those_of_the_parts_in_turn(sizes: list[int], data: st.DataObject) -> None:
    values = np.arange(sum(sizes))
    parts = np.split(values, np.cumsum(sizes)[:-1])
    sources = [
        InBlocks(part) if data.draw(st.booleans()) else by.source({"n": part}) for part in parts
    ]
    chain = ChainSource({str(number): source for number, source in enumerate(sources)})
    check_source(chain)
    assert chain.num_rows == len(values)
    read = [table["n"] for block in range(len(chain.blocks)) for table in chain.read(block, ["n"])]
    np.testing.assert_array_equal(np.concatenate(read), values)
    rows = np.array(data.draw(st.lists(st.integers(0, len(values) - 1), max_size=9)), np.int64)
    np.testing.assert_array_equal(chain.take(rows, ["n"])["n"], rows, strict=True)
    assert chain.random_access == all(source.random_access for source in sources)
    counts = [source.null_counts()["n"] for source in sources]
    assert chain.null_counts() == {"n": sum(filter(None, counts))}


def test_nulls_that_a_part_does_not_know_are_not_known() -> None:
    unknown = by.source(lambda: iter([{"n": 1}]), num_rows=1)
    chain = ChainSource({"a": InBlocks(np.arange(2)), "b": unknown})
    assert chain.null_counts() == {"n": None}


def test_rows_beyond_the_end_are_refused() -> None:
    chain = ChainSource({name: by.source({"n": [1, 2]}) for name in "ab"})
    with pytest.raises(IndexError, match="below the number of rows, 4, got 4"):
        chain.take(np.array([4]), ["n"])


def test_parts_with_other_fields_are_refused() -> None:
    parts = {"1.npy": by.source({"n": [1]}), "2.npy": by.source({"m": [1]})}
    message = (
        r"^All parts of a source must have the fields of the first \(1\.npy\), 'n', got 'm' in "
        r"2\.npy\.\nHint: choose the fields that all have with `columns`\.$"
    )
    with pytest.raises(ValueError, match=message):
        ChainSource(parts)


@pytest.mark.parametrize(
    ("one", "other", "dtype"),
    [
        ("int8", "int64", "int64"),
        ("f4", "f8", "f8"),
        ("f8", "int32", "f8"),
        ("m8[s]", "m8[ns]", "m8[ns]"),
    ],
)
def test_parts_of_narrower_dtypes(one: str, other: str, dtype: str) -> None:
    parts = [np.array([1, 2]).astype(kind) for kind in (one, other)]
    chain = ChainSource({str(at): by.source({"n": part}) for at, part in enumerate(parts)})
    check_source(chain)
    assert chain.fields["n"].dtype == dtype
    taken = chain.take(np.array([3, 0]), ["n"])["n"]
    np.testing.assert_array_equal(taken, np.concatenate(parts)[[3, 0]], strict=True)


@pytest.mark.parametrize("other", [np.zeros(2), np.zeros((2, 3), dtype=int)])
def test_parts_with_fields_of_another_kind_are_refused(other: np.ndarray) -> None:
    parts = {"1.npy": by.source({"n": [1]}), "2.npy": by.source({"n": other})}
    message = (
        rf"fields like the first \(1\.npy\), got `n` of {other.dtype} and shape "
        rf"\({'3,' if other.ndim > 1 else ''}\) a row in 2\.npy, and of int64 .*\nHint: write the"
    )
    with pytest.raises(ValueError, match=message):
        ChainSource(parts)
