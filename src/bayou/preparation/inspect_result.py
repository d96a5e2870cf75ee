"""The result of `by.inspect`, and how it prints: a table of fields, and advice on the row order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

import pandas as pd
from rich import box
from rich.console import Console, Group
from rich.table import Table as Grid
from rich.text import Text

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class FieldSummary:
    """One field of a source, as far as it was looked at.

    Attributes
    ----------
    name, dtype : str
        The name, and the NumPy dtype, or "text".
    shape : tuple of int
        The shape of the values of one row, () for a number a row.
    categories : int or None
        The number of categories; None for a field that is not categorical.
    nulls : int or None
        The number of nulls in all rows, dropped rows included; None if only reading all rows would
        tell.
    nans : int
        The number of NaN and NaT in the sampled rows.
    order : {"", "rising", "falling", "drifting"}
        How the values change with the row number: not at all, sorted, sorted in reverse, or in
        another way, such as rows that are grouped by the field.
    strength : float
        The share of the variance of the values' ranks that lies between stretches of rows, beyond
        what random order would give: 0 without order, 1 if sorted.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    categories: int | None
    nulls: int | None
    nans: int
    order: str
    strength: float


@dataclass(frozen=True)
class Inspection:
    """The result of :func:`bayou.inspect`; prints as a table, in a notebook too.

    Attributes
    ----------
    kind : str
        The class of the source.
    fields : tuple of FieldSummary
        The fields, in the order of the source.
    num_rows, num_dropped : int or None
        The number of rows, and of rows left out for their nulls; None if unknown.
    num_blocks : int
        The number of blocks: rows that the storage reads at once, such as row groups of Parquet.
    block_rows : tuple of (int, int) or None
        The number of rows of the smallest and the largest block; None if some are unknown.
    num_bytes : int or None
        The size of all rows in memory, without fields of text; None if the number of rows is
        unknown.
    random_access : bool
        Whether any row can be read by its number, at the cost of that row alone.
    in_memory_size : int or None
        The number of rows that would be in memory at a time by default. None with random access,
        where rows are read one by one.
    looked_at : int
        The number of rows that were sampled for `order` and `nans`.
    faults : tuple of str
        Why some fields could not be read.
    """

    kind: str
    fields: tuple[FieldSummary, ...]
    num_rows: int | None
    num_dropped: int | None
    num_blocks: int
    block_rows: tuple[int, int] | None
    num_bytes: int | None
    random_access: bool
    in_memory_size: int | None
    looked_at: int
    faults: tuple[str, ...]

    @property
    def advice(self) -> str:
        """Whether rows must be shuffled on disk before batches are drawn, and why."""
        ordered = sorted(
            (field for field in self.fields if field.order), key=lambda field: -field.strength
        )
        finding = (
            f"The rows look sorted by {listed(ordered, 3, _order_text)}."
            if ordered
            else "The rows show no order."
        )
        if self.random_access:
            return f"{finding} Any row can be read by its number, so batches do not depend on it."
        if self.in_memory_size == self.num_rows:
            return f"{finding} All rows fit into memory, so batches do not depend on it."
        if not ordered:
            return f"{finding} They can be used as they are."
        # Rows are shuffled within windows alone, so that a batch would be of one stretch of the
        # order: a month, a shop.
        return f"{finding} Shuffle them once with by.shuffle, and use the store that it writes."

    def to_frame(self) -> pd.DataFrame:
        """Return the fields as a frame.

        Returns
        -------
        pandas.DataFrame
            One row a field, indexed by name: its dtype and shape, and what was seen of its values.
        """
        return pd.DataFrame([asdict(field) for field in self.fields]).set_index("name")

    def __rich__(self) -> Group:
        grid = Grid(box=box.SIMPLE_HEAD)
        for title in ("field", "dtype", "shape", "categories", "nulls", "NaN", "order"):
            left = title in {"field", "dtype"}
            grid.add_column(title, justify="left" if left else "right", overflow="fold")
        for field in self.fields:
            # As `Text`, since rich would take "[...]" in a name for markup.
            grid.add_row(*(Text(text) for text in _cell_texts(field)))
        return Group(*(Text(line) for line in self._lines()), grid, Text(self.advice))

    def __str__(self) -> str:
        # Of fixed width and without colors, whatever the terminal is: a text may be stored.
        # In a notebook, a console shows what it has captured: an empty output.
        console = Console(file=StringIO(), width=100, color_system=None, force_jupyter=False)
        with console.capture() as captured:
            console.print(self)
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def _repr_html_(self) -> str:
        lines = "<br>".join(escape(line) for line in self._lines())
        return f"<p>{lines}</p>{self.to_frame().to_html()}<p>{escape(self.advice)}</p>"

    def _lines(self) -> Iterator[str]:
        yield f"{self.kind}: {_count_text(self.num_rows, 'row')}, {_size_text(self.num_bytes)}"
        if self.num_dropped != 0:
            yield f"dropped for their nulls: {_count_text(self.num_dropped, 'row')}"
        blocks = _count_text(self.num_blocks, "block")
        if self.block_rows is None:
            yield f"{blocks} of unknown size"
        else:
            yield f"{blocks} of {self.block_rows[0]:,} to {self.block_rows[1]:,} rows"
        if self.in_memory_size is not None:
            yield f"in_memory_size by default: {self.in_memory_size:,} rows"
        yield f"order and NaN: in a sample of {_count_text(self.looked_at, 'row')}"
        yield from self.faults


def _order_text(field: FieldSummary) -> str:
    return f"`{field.name}` ({field.order}, {field.strength:.2f})"


def _cell_texts(field: FieldSummary) -> tuple[str, ...]:
    return (
        field.name,
        field.dtype,
        " x ".join(map(str, field.shape)) or "-",
        "-" if field.categories is None else f"{field.categories:,}",
        "-" if field.nulls is None else f"{field.nulls:,}",
        f"{field.nans:,}",
        f"{field.order} {field.strength:.2f}" if field.order else "-",
    )


def _count_text(number: int | None, noun: str) -> str:
    if number is None:
        return f"an unknown number of {noun}s"
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _size_text(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "of unknown size in memory"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:,.2f} {unit} in memory"
    return f"{num_bytes} B in memory"
