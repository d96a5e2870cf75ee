from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bayou.feeding.memory import default_window
from bayou.preparation.inspect import inspect
from bayou.preparation.inspect_result import FieldSummary
from bayou.sources import Field, Source, Table

GENERATOR = np.random.default_rng(7)
NUM_ROWS = 60_000
PLACES = np.arange(NUM_ROWS)
NOISE = GENERATOR.normal(size=NUM_ROWS)
WITH_NAN = np.where(PLACES % 5 == 0, np.nan, NOISE)


class Blocks(Source):
    """Arrays that are read a block and a piece at a time, never at random."""

    def __init__(
        self,
        values: dict[str, NDArray[Any]],
        num_blocks: int = 100,
        piece: int = 50,
        *,
        known: bool = True,
    ) -> None:
        self.values = values
        self.known = known
        self.piece = piece
        rows = len(next(iter(values.values())))
        self.ends = np.linspace(0, rows, num_blocks + 1).astype(int)
        self.read_rows = 0

    @property
    def fields(self) -> dict[str, Field]:
        return {
            name: Field(name, values.dtype, values.shape[1:])
            for name, values in self.values.items()
        }

    @property
    def blocks(self) -> list[int | None]:
        return [int(size) if self.known else None for size in np.diff(self.ends)]

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        for first in range(self.ends[block], self.ends[block + 1], self.piece):
            rows = slice(first, min(first + self.piece, self.ends[block + 1]))
            self.read_rows += rows.stop - rows.start
            yield {name: self.values[name][rows] for name in names}


class WithNulls(Blocks):
    """Rows of which the field `late` has nulls, as a file may have."""

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        if "late" in names:
            raise ValueError("`late` must have no nulls, got one in row 7.\nHint: fill it in.")
        yield from super().read(block, names)

    def null_counts(self) -> dict[str, int | None]:
        return {"late": 12_345, "day": 0, "x": None}


def test_what_a_source_says_of_itself() -> None:
    source = Blocks({"x": NOISE, "pair": np.ones((NUM_ROWS, 2), np.float32)}, 70)
    found = inspect(source)
    assert found.kind == "Blocks"
    assert [(field.name, field.dtype, field.shape) for field in found.fields] == [
        ("x", "float64", ()),
        ("pair", "float32", (2,)),
    ]
    assert (found.num_rows, found.num_dropped, found.num_blocks) == (NUM_ROWS, 0, 70)
    assert found.block_rows == (857, 858)
    assert found.num_bytes == 16 * NUM_ROWS
    assert not found.random_access
    assert found.in_memory_size == default_window(source)
    assert found.looked_at == 64 * 256
    assert found.faults == ()


def test_what_is_unknown_is_said_to_be() -> None:
    found = inspect(Blocks({"x": NOISE}, known=False))
    assert (found.num_rows, found.block_rows, found.num_bytes) == (None, None, None)
    assert "an unknown number of rows, of unknown size in memory" in str(found)
    assert "100 blocks of unknown size" in str(found)


def test_a_dict_of_arrays_is_taken_at_random() -> None:
    found = inspect({"x": NOISE, "name": ["a"] * NUM_ROWS})
    assert found.random_access
    assert found.in_memory_size is None
    assert [field.dtype for field in found.fields] == ["float64", "text"]
    assert found.num_bytes == 8 * NUM_ROWS


def test_nan_are_counted_where_rows_are_looked_at() -> None:
    found = inspect(Blocks({"x": WITH_NAN, "day": np.full(NUM_ROWS, np.datetime64("NaT", "D"))}))
    assert 0.19 < found.fields[0].nans / found.looked_at < 0.21
    assert found.fields[1].nans == found.looked_at


def test_nulls_are_those_that_the_source_counted() -> None:
    values = {"day": PLACES, "late": NOISE, "x": NOISE}
    found = inspect(WithNulls(values))
    assert [field.nulls for field in found.fields] == [0, 12_345, None]
    assert [field.order for field in found.fields] == ["rising", "", ""]
    assert found.faults == ("`late` must have no nulls, got one in row 7.",)
    assert "got one in row 7" in str(found)
    alone = inspect(WithNulls({"late": NOISE}))
    assert alone.looked_at == 0
    assert len(alone.faults) == 1


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(TypeError, match="`source` must be arrays, a frame"):
        inspect(object())


def only(values: NDArray[Any], **options: Any) -> FieldSummary:
    [field] = inspect(Blocks({"x": values}, **options)).fields
    return field


@pytest.mark.parametrize("num_blocks", [1, 3, 40, 500])
@pytest.mark.parametrize(
    ("values", "order", "least"),
    [
        (PLACES, "rising", 0.99),
        (-PLACES.astype(np.int32), "falling", 0.99),
        (PLACES // 20_000, "rising", 0.9),
        (PLACES.astype("datetime64[s]"), "rising", 0.99),
        (PLACES >= 30_000, "rising", 0.9),
        (PLACES % 30_000, "drifting", 0.9),
        (NOISE + PLACES / 15_000, "drifting", 0.4),
        (np.where(PLACES % 5 == 0, np.nan, PLACES), "rising", 0.99),
        (np.sort(NOISE).astype(complex), "rising", 0.99),
        (np.stack([NOISE, PLACES / 1e5], axis=1), "rising", 0.99),
        (1e6 ** np.linspace(-40, 40, NUM_ROWS), "rising", 0.99),
    ],
)
def test_order_is_found(values: NDArray[Any], order: str, least: float, num_blocks: int) -> None:
    field = only(values, num_blocks=num_blocks)
    assert field.order == order
    assert least < field.strength <= 1


@pytest.mark.parametrize("num_blocks", [1, 3, 40, 500])
@pytest.mark.parametrize(
    "values",
    [
        NOISE,
        WITH_NAN,
        NOISE > 2,
        np.stack([NOISE, -NOISE], axis=1),
        np.full(NUM_ROWS, np.nan),
        np.ones(NUM_ROWS),
        PLACES == 0,
        PLACES == NUM_ROWS - 1,
        1 / NOISE,
        PLACES % 2,
        np.full(NUM_ROWS, np.datetime64("NaT", "s")),
        np.empty((NUM_ROWS, 0)),
    ],
)
def test_no_order_is_said_where_none_is(values: NDArray[Any], num_blocks: int) -> None:
    field = only(values, num_blocks=num_blocks)
    assert (field.order, field.strength) == ("", 0.0)


@given(seed=st.integers(0, 2**32), num_rows=st.integers(1, 600), num_blocks=st.integers(1, 20))
def test_rows_in_random_order_show_none(seed: int, num_rows: int, num_blocks: int) -> None:
    values = np.random.default_rng(seed).permutation(num_rows)
    assert only(values, num_blocks=num_blocks, piece=7).order == ""


@given(num_rows=st.integers(30, 600), num_blocks=st.integers(1, 20))
def test_few_rows_that_are_sorted_show_it(num_rows: int, num_blocks: int) -> None:
    assert only(np.arange(num_rows), num_blocks=min(num_blocks, num_rows // 5)).order == "rising"


def test_few_rows_are_read() -> None:
    source = Blocks({"x": NOISE}, 1)
    assert inspect(source).looked_at == 64 * 256
    # Rows of 4 KiB, of which those in 64 MiB are the least that 64 stretches take.
    pixels = np.broadcast_to(NOISE[:, None], (NUM_ROWS, 2**9))
    source = Blocks({"x": pixels}, 70)
    inspect(source)
    assert source.read_rows <= 64 * 300
    source = Blocks({"x": pixels}, 1)
    assert inspect(source).looked_at == 64 * 256
    assert source.read_rows <= 64 * 256 + 50
