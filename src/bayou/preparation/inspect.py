"""What a source looks like before it is used: its fields, its size, its order, and what to do.

Rows are looked at in some tens of places, not all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console, Group
from rich.table import Table as Grid
from rich.text import Text
from scipy.special import fdtrc

from bayou.feeding.memory import default_window
from bayou.sources.open import source as as_source
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.source import Source

# So many stretches of so many rows each are looked at.
MAX_RUNS = 64
RUN_ROWS = 256
# What a look at a source without random access may hold.
LOOK_BYTES = 64 * 2**20
# Of a field with several numbers a row, so many are looked at.
MAX_COLUMNS = 16
# An order is said where chance would seldom show it, and it is strong enough to matter.
MAX_CHANCE = 1e-6
MIN_STRENGTH = 0.01


@dataclass(frozen=True)
class FieldSummary:
    """What was seen of a field.

    Attributes
    ----------
    name, dtype : str
        As the source says.
    shape : tuple of int
        Of one row.
    categories : int or None
        How many there are, where values are codes of categories.
    nulls : int or None
        The nulls in all rows, dropped ones included; None where only reading them all would tell.
    nans : int
        The NaN and NaT in the rows that were looked at.
    order : {"", "rising", "falling", "drifting"}
        How the values go with the number of the row.
    strength : float
        The share of the variance of their ranks that lies between stretches of rows, less what
        chance puts there: 0 without order, 1 if sorted.
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
    """What :func:`bayou.inspect` found; prints as a table.

    Attributes
    ----------
    kind : str
        The kind of source.
    fields : tuple of FieldSummary
        The fields, in the order of the source.
    num_rows, num_dropped : int or None
        The rows, and those left out for their nulls; None if unknown.
    num_blocks : int
        What is read at once: how many there are.
    block_rows : tuple of (int, int) or None
        The rows of the smallest and the largest block; None if some are unknown.
    num_bytes : int or None
        The size of all rows in memory, text left out.
    random_access : bool
        Whether rows are taken by number, at the cost of those rows alone.
    in_memory_size : int or None
        How many rows would be kept in memory by default; None with random access, which needs none.
    looked_at : int
        How many rows were looked at for their order and NaN.
    faults : tuple of str
        Why fields could not be looked at.
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
        """What to do about the order of the rows."""
        ordered = sorted((field for field in self.fields if field.order), key=_by_strength)
        if not ordered:
            found = "The rows show no order."
        else:
            found = f"The rows look sorted by {listed(ordered, 3, _order_text)}."
        if self.random_access:
            return f"{found} Any row is had at random, so batches do not depend on it."
        if self.in_memory_size == self.num_rows:
            return f"{found} All rows fit into memory, so batches do not depend on it."
        if not ordered:
            return f"{found} They can be used as they are."
        return f"{found} Shuffle them once with by.shuffle, and use the store that it writes."

    def to_frame(self) -> pd.DataFrame:
        """Return the fields as a frame.

        Returns
        -------
        pandas.DataFrame
            A row a field, with the attributes of :class:`FieldSummary`.
        """
        return pd.DataFrame([asdict(field) for field in self.fields]).set_index("name")

    def __rich__(self) -> Group:
        grid = Grid(box=box.SIMPLE_HEAD)
        for title in ("field", "dtype", "shape", "categories", "nulls", "NaN", "order"):
            left = title in {"field", "dtype"}
            grid.add_column(title, justify="left" if left else "right", overflow="fold")
        for field in self.fields:
            grid.add_row(*(Text(text) for text in _texts(field)))
        return Group(*(Text(line) for line in self._lines()), grid, Text(self.advice))

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=100, color_system=None)
        with console.capture() as captured:
            console.print(self)
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def _repr_html_(self) -> str:
        lines = "<br>".join(escape(line) for line in self._lines())
        return f"<p>{lines}</p>{self.to_frame().to_html()}<p>{escape(self.advice)}</p>"

    def _lines(self) -> Iterator[str]:
        yield f"{self.kind}: {_count(self.num_rows, 'row')}, {_size(self.num_bytes)} in memory"
        if self.num_dropped != 0:
            yield f"dropped for their nulls: {_count(self.num_dropped, 'row')}"
        blocks = _count(self.num_blocks, "block")
        if self.block_rows is None:
            yield f"{blocks} of unknown size"
        else:
            yield f"{blocks} of {self.block_rows[0]:,} to {self.block_rows[1]:,} rows"
        if self.in_memory_size is not None:
            yield f"in_memory_size by default: {self.in_memory_size:,} rows"
        yield f"order and NaN: of {_count(self.looked_at, 'row')} that were looked at"
        yield from self.faults


def inspect(source: Any) -> Inspection:
    """Look at a source: its fields, size and nulls, and whether its rows are in some order.

    Parameters
    ----------
    source : Source, or what :func:`bayou.source` takes
        What is looked at.

    Returns
    -------
    Inspection
        Prints as a table, also in a notebook.

    Notes
    -----
    Order is looked for in up to 64 stretches of up to 256 rows each, spread over the source; of a
    source without random access, over the beginnings of its blocks. The values of a field are
    ranked, and the variance of the ranks between the stretches is compared with the variance
    within them, as Kruskal and Wallis (1952) do: rows in random order have no more of it between
    the stretches than chance puts there.

    Examples
    --------
    >>> found = by.inspect({"day": np.arange(1000), "late": np.arange(1000) * 7919 % 1000 < 200})
    >>> found.to_frame()["order"].to_dict()
    {'day': 'rising', 'late': ''}
    >>> print(found)
    ArraySource: 1,000 rows, 9.00 kB in memory
    1 block of 1,000 to 1,000 rows
    order and NaN: of 1,000 rows that were looked at
    <BLANKLINE>
      field   dtype   shape   categories   nulls   NaN         order
     ────────────────────────────────────────────────────────────────
      day     int64       -            -       0     0   rising 0.99
      late    bool        -            -       0     0             -
    <BLANKLINE>
    The rows look sorted by `day` (rising, 0.99). Any row is had at random, so batches do not depend
    on it.
    """
    rows = as_source(source)
    names = [field.name for field in rows.fields.values() if field.dtype != object]
    runs, faults = _look(rows, names)
    nulls = rows.null_counts()
    fields = tuple(
        _summary(field, [run[field.name] for run in runs if field.name in run], nulls)
        for field in rows.fields.values()
    )
    blocks = rows.blocks
    sizes = [size for size in blocks if size is not None]
    row_bytes = sum(rows.fields[name].row_bytes for name in names)
    return Inspection(
        kind=type(rows).__name__,
        fields=fields,
        num_rows=rows.num_rows,
        num_dropped=rows.num_dropped,
        num_blocks=len(blocks),
        block_rows=(min(sizes), max(sizes)) if sizes and len(sizes) == len(blocks) else None,
        num_bytes=None if rows.num_rows is None else rows.num_rows * row_bytes,
        random_access=rows.random_access,
        in_memory_size=None if rows.random_access else default_window(rows),
        looked_at=sum(len(next(iter(run.values()))) for run in runs),
        faults=faults,
    )


def _look(source: Source, names: Sequence[str]) -> tuple[list[Table], tuple[str, ...]]:
    """Return stretches of rows, and why those of some fields could not be had."""
    try:
        return list(_runs(source, names)), ()
    except ValueError as error:
        if len(names) == 1:
            return [], (str(error).partition("\n")[0],)
    # A null in one field does not hide the others.
    found = [_look(source, [name]) for name in names]
    whole = max((len(runs) for runs, _ in found), default=0)
    merged: list[Table] = [{} for _ in range(whole)]
    for runs, _ in found:
        for table, run in zip(merged, runs, strict=False):
            table.update(run)
    return merged, tuple(fault for _, faults in found for fault in faults)


def _runs(source: Source, names: Sequence[str]) -> Iterator[Table]:
    """Yield stretches of rows that follow each other, spread over the source, in its order."""
    if not names:
        return
    if source.random_access and source.num_rows is not None:
        for rows in _stretches(source.num_rows, MAX_RUNS):
            yield source.take(rows, names)
        return
    num_blocks = len(source.blocks)
    chosen = np.unique(np.linspace(0, num_blocks - 1, min(MAX_RUNS, num_blocks)).astype(int))
    row_bytes = max(1, sum(source.fields[name].row_bytes for name in names))
    wanted = -(-MAX_RUNS // len(chosen))
    limit = max(wanted * RUN_ROWS, LOOK_BYTES // row_bytes // len(chosen))
    for block in chosen:
        head = _head(source, int(block), names, limit)
        for rows in _stretches(len(head[names[0]]), wanted):
            yield {name: values[rows] for name, values in head.items()}


def _head(source: Source, block: int, names: Sequence[str], limit: int) -> Table:
    """Return the first rows of a block, ``limit`` of them where it has as many."""
    tables, rows = [], 0
    for table in source.read(block, names):
        tables.append({name: table[name][: limit - rows] for name in names})
        rows += len(tables[-1][names[0]])
        if rows == limit:
            break
    return {
        name: np.concatenate([table[name] for table in tables])
        if tables
        else np.empty(0, source.fields[name].dtype)
        for name in names
    }


def _stretches(num_rows: int, wanted: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of stretches of rows: few rows are cut into at least eight, if wanted."""
    size = max(min(RUN_ROWS, num_rows // min(wanted, 8)), min(2, num_rows), 1)
    for first in np.linspace(0, num_rows - size, min(wanted, num_rows // size)).astype(np.int64):
        yield np.arange(first, first + size, dtype=np.int64)


def _summary(
    field: Field, runs: Sequence[NDArray[Any]], nulls: Mapping[str, int | None]
) -> FieldSummary:
    nans, order, strength = 0, "", 0.0
    if runs:
        columns = [run.reshape(len(run), -1)[:, :MAX_COLUMNS] for run in runs]
        nans = sum(int(_missing(run).sum()) for run in runs)
        orders = [
            _order([run[:, column] for run in columns]) for column in range(columns[0].shape[1])
        ]
        order, strength = max(orders, key=lambda found: found[1], default=(order, strength))
    return FieldSummary(
        field.name,
        "text" if field.dtype == object else field.dtype.name,
        field.shape,
        None if field.categories is None else len(field.categories),
        nulls.get(field.name),
        nans,
        order,
        strength,
    )


def _order(runs: Sequence[NDArray[Any]]) -> tuple[str, float]:
    """Say how values go from one stretch of rows to the next, and how strongly."""
    known = [run[~_missing(run)] for run in runs]
    known = [run.real for run in known if len(run)]
    if len(known) < 2:
        return "", 0.0
    ranks = pd.Series(np.concatenate(known)).rank().to_numpy()
    sizes = np.array([len(run) for run in known])
    groups, rows = len(sizes), len(ranks)
    starts = np.cumsum(sizes) - sizes
    means = np.add.reduceat(ranks, starts) / sizes
    between = float(sizes @ (means - ranks.mean()) ** 2)
    within = float(((ranks - np.repeat(means, sizes)) ** 2).sum())
    if between == 0 or rows == groups:
        return "", 0.0
    # Rows that are alike within each stretch leave no variance there.
    ratio = np.inf if within == 0 else (between / (groups - 1)) / (within / (rows - groups))
    chance = fdtrc(groups - 1, rows - groups, ratio)
    strength = 1 / (1 + (rows / groups) / max(ratio - 1, 1e-300))
    if chance > MAX_CHANCE or strength < MIN_STRENGTH:
        return "", 0.0
    steps = np.diff(ranks)
    order = "rising" if (steps >= 0).all() else "falling" if (steps <= 0).all() else "drifting"
    return order, float(strength)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind in "fc":
        return np.isnan(values)
    return np.isnat(values) if values.dtype.kind in "mM" else np.zeros(values.shape, dtype=bool)


def _by_strength(field: FieldSummary) -> float:
    return -field.strength


def _order_text(field: FieldSummary) -> str:
    return f"`{field.name}` ({field.order}, {field.strength:.2f})"


def _texts(field: FieldSummary) -> tuple[str, ...]:
    return (
        field.name,
        field.dtype,
        " x ".join(map(str, field.shape)) or "-",
        "-" if field.categories is None else f"{field.categories:,}",
        "-" if field.nulls is None else f"{field.nulls:,}",
        f"{field.nans:,}",
        f"{field.order} {field.strength:.2f}" if field.order else "-",
    )


def _count(number: int | None, noun: str) -> str:
    if number is None:
        return f"an unknown number of {noun}s"
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "of unknown size"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:,.2f} {unit}"
    return f"{num_bytes} B"
