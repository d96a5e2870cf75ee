"""Inspections: what a source says of itself, and the order that its rows are found in."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console

from bayou.feeding.memory import default_window
from bayou.preparation import inspect as module
from bayou.preparation.inspect import Inspection, inspect
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


@pytest.fixture
def not_all_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave memory for 1,000 rows alone."""
    monkeypatch.setattr(module, "default_window", lambda source: 1000)


def only(values: NDArray[Any], **options: Any) -> module.FieldSummary:
    [field] = inspect(Blocks({"x": values}, **options)).fields
    return field


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


def test_a_look_reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_BYTES", 2**15)
    source = Blocks({"x": NOISE}, 70)
    inspect(source)
    assert source.read_rows <= 64 * 300
    source = Blocks({"x": NOISE}, 1)
    assert inspect(source).looked_at == 64 * 256
    assert source.read_rows <= 64 * 256 + 50


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


def test_rows_dropped_are_said() -> None:
    source = type("Dropping", (Blocks,), {"num_dropped": 1})({"x": NOISE})
    assert "dropped for their nulls: 1 row\n" in str(inspect(source))
    assert "dropped" not in str(inspect(Blocks({"x": NOISE})))


@pytest.mark.usefixtures("not_all_fit")
def test_a_shuffle_is_advised_where_rows_are_sorted() -> None:
    found = inspect(Blocks({f"x{k}": PLACES for k in range(5)} | {"y": NOISE}))
    assert found.advice == (
        "The rows look sorted by `x0` (rising, 1.00), `x1` (rising, 1.00), `x2` (rising, 1.00), "
        "and 2 more. Shuffle them once with by.shuffle, and use the store that it writes."
    )


@pytest.mark.usefixtures("not_all_fit")
def test_no_shuffle_is_advised_where_rows_are_not() -> None:
    assert inspect(Blocks({"x": NOISE})).advice == (
        "The rows show no order. They can be used as they are."
    )


def test_no_shuffle_is_advised_where_batches_are_random_anyway() -> None:
    found = inspect({"x": PLACES})
    assert found.advice.endswith("Any row is had at random, so batches do not depend on it.")
    found = inspect(Blocks({"x": PLACES}))
    assert found.advice.endswith("All rows fit into memory, so batches do not depend on it.")


@pytest.mark.usefixtures("not_all_fit")
def test_prints_as_a_table() -> None:
    found = inspect(Blocks({"[bold]": PLACES, "a <b>": np.ones((NUM_ROWS, 3, 4), np.int8)}))
    text = str(found)
    lines = text.splitlines()
    assert lines[:4] == [
        "Blocks: 60,000 rows, 1.20 MB in memory",
        "100 blocks of 600 to 600 rows",
        "in_memory_size by default: 1,000 rows",
        "order and NaN: of 16,384 rows that were looked at",
    ]
    [row] = [line.split() for line in lines if "[bold]" in line and "int64" in line]
    assert row == ["[bold]", "int64", "-", "-", "-", "0", "rising", "1.00"]
    assert "3 x 4" in text
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(found)
    assert [line.rstrip() for line in captured.get().splitlines()] == lines


def test_prints_in_a_notebook() -> None:
    page = inspect({"a <b>": PLACES})._repr_html_()
    assert "a &lt;b&gt;" in page
    assert "<b>" not in page
    assert "rising" in page
    assert "ArraySource: 60,000 rows" in page


def test_fields_as_a_frame() -> None:
    found = inspect({"x": PLACES, "y": NOISE})
    frame = found.to_frame()
    assert frame.index.tolist() == ["x", "y"]
    assert frame.loc["x", "order"] == "rising"
    assert frame.columns.tolist() == [
        "dtype", "shape", "categories", "nulls", "nans", "order", "strength",
    ]  # fmt: skip


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(TypeError, match="`obj` must be arrays, a frame"):
        inspect(object())


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(7, "7 B"), (7000, "7.00 kB"), (7 * 10**6, "7.00 MB"), (10**12, "1,000")],
)
def test_sizes(num_bytes: int, text: str) -> None:
    assert module._size(num_bytes).startswith(text)


def test_an_inspection_is_frozen() -> None:
    found = inspect({"x": PLACES})
    assert isinstance(found, Inspection)
    with pytest.raises(AttributeError):
        found.num_rows = 3  # type: ignore[misc]
