"""The description of a model that :func:`bayou.describe` returns, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bayou.provenance.diagram import Diagram
from bayou.provenance.summaries import ContainerSummary, VariableSummary
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, RenderResult

    from bayou.containers.variables.dims import Labels

# The most coordinate labels of an axis, and the most names in a cell, that the table shows.
MAX_LABELS = 4
MAX_NAMES = 12
# Characters a line in `str`, which knows no terminal.
WIDTH = 120


@dataclass(frozen=True, repr=False)
class Description:
    """The data containers and the variables of a model. Prints as a table.

    Attributes
    ----------
    containers : tuple of ContainerSummary
        One record for each data container: columns, rows, dtype, source, fingerprint.
    variables : tuple of VariableSummary
        One record for each random variable, deterministic and potential.
    compression : str, optional
        How many distinct rows took the place of all in the fit that is described, if they did.
    """

    containers: tuple[ContainerSummary, ...]
    variables: tuple[VariableSummary, ...]
    compression: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return the containers as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row for each container, indexed by its name. The columns are ``role``, ``columns``,
            ``categories``, ``dims``, ``coords``, ``shape``, ``dtype``, ``source``, ``num_rows``,
            ``num_in_memory``, ``num_dropped``, ``total_size``, ``fingerprint``, ``observed_by`` and
            ``feeds``.
        """
        columns = [field.name for field in fields(ContainerSummary)]
        rows = [[getattr(container, name) for name in columns] for container in self.containers]
        frame = pd.DataFrame(rows, columns=columns, dtype=object).set_index("name")
        # Int64 with NA: unknown counts must not turn the other ones into floats.
        counts = ("num_rows", "num_in_memory", "num_dropped")
        return frame.astype(dict.fromkeys(counts, "Int64"))

    def diagram(self) -> Diagram:
        """Return a diagram of which containers and variables feed which variables.

        Returns
        -------
        Diagram
            Prints as text, and is drawn by notebooks that support Mermaid. Its attribute
            ``mermaid`` is the source text of the drawing.
        """
        return Diagram(self.containers, self.variables)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = [_TITLES, *map(_cells, self.containers)]
        hidden = _hidden_columns(cells, options.max_width)
        grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        shown = [index for index, title in enumerate(_TITLES) if title not in hidden]
        for index in shown:
            right = _TITLES[index] in {"rows", "total size"}
            grid.add_column(_TITLES[index], justify="right" if right else "left", overflow="fold")
        for row in cells[1:]:
            grid.add_row(*(Text(row[index]) for index in shown))
        yield grid
        for line in self._variable_lines():
            yield Text(line)
        if hidden:
            yield Text(f"hidden in a narrow terminal: {', '.join(hidden)}; see to_frame().")

    def __str__(self) -> str:
        # In a notebook, a console shows what it has captured: an empty output.
        console = Console(file=StringIO(), width=WIDTH, color_system=None, force_jupyter=False)
        with console.capture() as captured:
            console.print(self)
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{title}</th>" for title in _TITLES)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_html(text)}</td>' for text in _cells(container))}</tr>"
            for container in self.containers
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"{table}<p>{_html(chr(10).join(self._variable_lines()))}</p>"

    def _variable_lines(self) -> Iterator[str]:
        if not self.containers:
            yield "The model has no data containers."
        for kind in ("free", "deterministic", "observed", "potential"):
            names = [variable.name for variable in self.variables if variable.kind == kind]
            if names:
                yield f"{kind}: {', '.join(names)}"
        if self.compression is not None:
            yield f"fitted: {self.compression}"


# Titles of the columns of the printed table.
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


# Columns that a narrow terminal hides, in this order.
_HIDDEN_FIRST = ("total size", "source", "feeds", "fingerprint", "dtype", "columns")


def _hidden_columns(cells: list[tuple[str, ...]], width: int) -> list[str]:
    """Return the titles of the columns to hide so that the table fits the width in characters."""
    widths = {
        title: max(len(line) for row in cells for line in row[index].split("\n")) + 2
        for index, title in enumerate(_TITLES)
    }
    hidden: list[str] = []
    for title in _HIDDEN_FIRST:
        if sum(widths.values()) < width:
            break
        hidden.append(title)
        del widths[title]
    return hidden


def _cells(container: ContainerSummary) -> tuple[str, ...]:
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


def _labels(container: ContainerSummary) -> Iterator[Labels]:
    """Yield the labels of each axis; none if the table shows them already, as the columns."""
    for dim in container.dims:
        labels = container.coords.get(dim, ()) if dim is not None else ()
        yield () if labels == container.columns else labels


def _axis(dim: str | None, length: int, labels: Labels) -> str:
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
