"""What a model is fed with, and what it says: the record that :func:`bayou.describe` returns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bayou.provenance.diagram import Diagram
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, RenderResult

# Of the labels of an axis, and of other names, so many are shown.
MAX_LABELS = 4
MAX_NAMES = 12
WIDTH = 120


@dataclass(frozen=True)
class ContainerSummary:
    """What a container is, and what it holds now.

    Attributes
    ----------
    name : str
        Its name in the model; of an array that is observed as it is, that of what observes it.
    role : {"input", "observed", "minibatch", "generator"}
        What it is to the model.
    columns : tuple of str or None
        The columns of the frame or the source that it was made of.
    categories : tuple of str or None
        What its values stand for, where they are codes.
    dims : tuple of (str or None)
        The name of each axis.
    coords : dict of str to tuple
        The labels of the dims that have some.
    shape : tuple of int
        Of what the model sees now: of a minibatch the batch, of a generator the first item.
    dtype : str
        Of its values.
    source : str
        What brought the rows, in words.
    num_rows : int or None
        All rows that it brings; None without axes and for generators.
    num_in_memory : int or None
        How many of them are in memory.
    num_dropped : int
        The rows left out for their missing values.
    total_size : int, tuple or None
        What the density of its first observer is scaled to; of each axis, where it is a tuple.
    fingerprint : str or None
        Differs if the values do; None where only reading a source would tell.
    observed_by : tuple of str
        The observed variables whose values it is.
    feeds : tuple of str
        The variables that are computed from it.
    """

    name: str
    role: str
    columns: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    dims: tuple[str | None, ...]
    coords: dict[str, tuple[Any, ...]]
    shape: tuple[int, ...]
    dtype: str
    source: str
    num_rows: int | None
    num_in_memory: int | None
    num_dropped: int
    total_size: int | tuple[int | None, ...] | None
    fingerprint: str | None
    observed_by: tuple[str, ...]
    feeds: tuple[str, ...]


@dataclass(frozen=True)
class VariableSummary:
    """What a variable of a model is computed from.

    Attributes
    ----------
    name : str
        Its name in the model.
    kind : {"free", "observed", "deterministic", "potential"}
        What it is.
    dims : tuple of (str or None)
        The name of each axis, as far as they have names.
    parents : tuple of str
        The containers and variables in its definition.
    """

    name: str
    kind: str
    dims: tuple[str | None, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Description:
    """What :func:`bayou.describe` found; prints as a table.

    Attributes
    ----------
    containers : tuple of ContainerSummary
        What brings values into the model.
    variables : tuple of VariableSummary
        What the model makes of them.
    """

    containers: tuple[ContainerSummary, ...]
    variables: tuple[VariableSummary, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the containers as a frame.

        Returns
        -------
        pandas.DataFrame
            A row a container, with the attributes of :class:`ContainerSummary`; its index is the
            name.
        """
        columns = [field.name for field in fields(ContainerSummary)]
        rows = [[getattr(found, column) for column in columns] for found in self.containers]
        frame = pd.DataFrame(rows, columns=columns, dtype=object).set_index("name")
        # Counts stay whole numbers where some are not known.
        counts = ("num_rows", "num_in_memory", "num_dropped")
        return frame.astype(dict.fromkeys(counts, "Int64"))

    def diagram(self) -> Diagram:
        """Return what feeds what.

        Returns
        -------
        Diagram
            Prints as text, is drawn in a notebook that knows Mermaid, and has the text of that as
            ``mermaid``.
        """
        return Diagram(self.containers, self.variables)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = [_TITLES, *map(_texts, self.containers)]
        left_out = _left_out(cells, options.max_width)
        grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        kept = [place for place, title in enumerate(_TITLES) if title not in left_out]
        for place in kept:
            right = _TITLES[place] in {"rows", "total size"}
            grid.add_column(_TITLES[place], justify="right" if right else "left", overflow="fold")
        for texts in cells[1:]:
            grid.add_row(*(Text(texts[place]) for place in kept))
        yield grid
        for line in self._lines():
            yield Text(line)
        if left_out:
            yield Text(f"left out for want of width: {', '.join(left_out)}; to_frame() has all.")

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=WIDTH, color_system=None)
        with console.capture() as captured:
            console.print(self)
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{title}</th>" for title in _TITLES)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_html(text)}</td>' for text in _texts(container))}</tr>"
            for container in self.containers
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"{table}<p>{_html(chr(10).join(self._lines()))}</p>"

    def _lines(self) -> Iterator[str]:
        if not self.containers:
            yield "Nothing brings values into the model."
        for kind in ("free", "deterministic", "observed", "potential"):
            names = [found.name for found in self.variables if found.kind == kind]
            if names:
                yield f"{kind}: {', '.join(names)}"


_TITLES = (
    "name",
    "role",
    "columns",
    "dims",
    "dtype",
    "rows",
    "total size",
    "source",
    "feeds",
    "fingerprint",
)


# What a narrow terminal can do without, the first of them first.
_SPARE = ("total size", "source", "feeds", "fingerprint", "dtype", "columns")


def _left_out(cells: list[tuple[str, ...]], width: int) -> list[str]:
    """Choose columns of a table to leave out until it is no wider than that."""
    widths = {
        title: max(len(line) for texts in cells for line in texts[place].split("\n")) + 2
        for place, title in enumerate(_TITLES)
    }
    left_out: list[str] = []
    for title in _SPARE:
        if sum(widths.values()) < width:
            break
        left_out.append(title)
        del widths[title]
    return left_out


def _texts(container: ContainerSummary) -> tuple[str, ...]:
    return (
        container.name,
        container.role,
        _columns(container),
        "\n".join(map(_axis, container.dims, container.shape, _labels(container))) or "-",
        container.dtype,
        "\n".join(_rows(container)),
        _total_size(container.total_size),
        container.source,
        listed(dict.fromkeys((*container.observed_by, *container.feeds)), MAX_NAMES, str) or "-",
        "not read" if container.fingerprint is None else container.fingerprint[:8],
    )


def _columns(container: ContainerSummary) -> str:
    text = listed(container.columns or (), MAX_NAMES, str) or "-"
    if container.categories is None:
        return text
    return f"{text}\n{len(container.categories):,} categories"


def _html(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _labels(container: ContainerSummary) -> Iterator[tuple[Any, ...]]:
    """Yield the labels of each axis, none where they are the columns."""
    for dim in container.dims:
        labels = container.coords.get(dim, ()) if dim is not None else ()
        yield () if labels == container.columns else labels


def _axis(dim: str | None, length: int, labels: tuple[Any, ...]) -> str:
    text = f"{length:,}" if dim is None else f"{dim} {length:,}"
    return f"{text}: {listed(labels, MAX_LABELS, str)}" if labels else text


def _rows(container: ContainerSummary) -> Iterator[str]:
    yield "-" if container.num_rows is None else f"{container.num_rows:,}"
    if container.num_in_memory != container.num_rows and container.num_in_memory is not None:
        yield f"{container.num_in_memory:,} in memory"
    if container.num_dropped:
        yield f"{container.num_dropped:,} dropped"


def _total_size(size: int | tuple[int | None, ...] | None) -> str:
    if isinstance(size, tuple):
        return " x ".join(map(_total_size, size))
    return "-" if size is None else f"{size:,}"
