from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from rich.console import Console

from bayou.preparation.inspect_result import FieldSummary, Inspection

DAY = FieldSummary("day", "int64", (), None, 0, 0, "rising", 0.995)
NOISE = FieldSummary("noise", "float64", (), None, None, 1200, "", 0.0)
FOUND = Inspection(
    kind="Blocks",
    fields=(DAY, NOISE),
    num_rows=60_000,
    num_dropped=0,
    num_blocks=100,
    block_rows=(600, 650),
    num_bytes=1_200_000,
    random_access=False,
    in_memory_size=1000,
    looked_at=16_384,
    faults=(),
)


def test_a_shuffle_is_advised_if_rows_are_sorted() -> None:
    fields = [replace(DAY, name=f"x{k}", strength=0.9 + k / 100) for k in range(5)]
    assert replace(FOUND, fields=(NOISE, *fields)).advice == (
        "The rows look sorted by `x4` (rising, 0.94), `x3` (rising, 0.93), `x2` (rising, 0.92), "
        "and 2 more. Shuffle them once with by.shuffle, and use the store that it writes."
    )


def test_no_shuffle_is_advised_if_rows_are_not_sorted() -> None:
    assert replace(FOUND, fields=(NOISE,)).advice == (
        "The rows show no order. They can be used as they are."
    )


def test_no_shuffle_is_advised_if_batches_are_random_anyway() -> None:
    advice = replace(FOUND, random_access=True, in_memory_size=None).advice
    assert advice.startswith("The rows look sorted by `day`")
    assert advice.endswith("Any row can be read by its number, so batches do not depend on it.")
    advice = replace(FOUND, in_memory_size=60_000).advice
    assert advice.endswith("All rows fit into memory, so batches do not depend on it.")


def test_prints_as_a_table() -> None:
    pixels = FieldSummary("[bold]", "int8", (3, 4), 5, 0, 0, "", 0.0)
    found = replace(FOUND, fields=(DAY, pixels), faults=("`late` must have no nulls.",))
    lines = str(found).splitlines()
    assert lines[:5] == [
        "Blocks: 60,000 rows, 1.20 MB in memory",
        "100 blocks of 600 to 650 rows",
        "in_memory_size by default: 1,000 rows",
        "order and NaN: in a sample of 16,384 rows",
        "`late` must have no nulls.",
    ]
    [row] = [line.split() for line in lines if "day" in line and "int64" in line]
    assert row == ["day", "int64", "-", "-", "0", "0", "rising", "0.99"]
    [row] = [line.split() for line in lines if "[bold]" in line]
    assert row == ["[bold]", "int8", "3", "x", "4", "5", "0", "0", "-"]
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(found)
    assert [line.rstrip() for line in captured.get().splitlines()] == lines


def test_numbers_that_are_unknown_are_called_so() -> None:
    found = replace(FOUND, num_rows=None, num_bytes=None, block_rows=None, num_dropped=1)
    assert str(found).splitlines()[:3] == [
        "Blocks: an unknown number of rows, of unknown size in memory",
        "dropped for their nulls: 1 row",
        "100 blocks of unknown size",
    ]
    assert "dropped" not in str(FOUND)


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(7, "7 B"), (7000, "7.00 kB"), (7 * 10**6, "7.00 MB"), (10**12, "1,000.00 GB")],
)
def test_sizes_have_units(num_bytes: int, text: str) -> None:
    lines = str(replace(FOUND, num_bytes=num_bytes)).splitlines()
    assert lines[0] == f"Blocks: 60,000 rows, {text} in memory"


def test_prints_in_a_notebook() -> None:
    page = replace(FOUND, fields=(replace(DAY, name="a <b>"),))._repr_html_()
    assert "a &lt;b&gt;" in page
    assert "<b>" not in page
    assert "rising" in page
    assert "Blocks: 60,000 rows" in page


def test_fields_as_a_frame() -> None:
    frame = FOUND.to_frame()
    assert frame.index.tolist() == ["day", "noise"]
    assert frame.loc["day", "order"] == "rising"
    assert frame.columns.tolist() == [
        "dtype", "shape", "categories", "nulls", "nans", "order", "strength",
    ]  # fmt: skip


def test_an_inspection_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        FOUND.num_rows = 3  # type: ignore[misc]
