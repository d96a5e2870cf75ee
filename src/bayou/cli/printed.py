"""What commands print: tables as wide as the terminal, or JSON that programs read."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, is_dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

# Elements of variables that a table shows; JSON has all of them.
SHOWN_ELEMENTS = 40


def print_json(values: Mapping[str, object]) -> None:
    """Print a JSON object. What is not finite becomes null, since JSON has no NaN."""
    typer.echo(json.dumps(_plain(values), indent=2, ensure_ascii=False, allow_nan=False))


def print_summary(table: pd.DataFrame) -> None:
    """Print a summary of variables, one element a line, the first ones of many.

    Columns that a narrow terminal has no room for are left out, the last ones first.
    """
    console = Console()
    shown = table.head(SHOWN_ELEMENTS)
    names = [str(name) for name in shown.index]
    columns = {
        str(title): [_number_text(value) for value in shown[title]] for title in shown.columns
    }
    widths = {title: max(map(len, (title, *texts))) + 2 for title, texts in columns.items()}
    room = console.width - min(max(map(len, ("variable", *names))), console.width // 2) - 4
    hidden: list[str] = []
    while len(widths) > 1 and sum(widths.values()) > room:
        hidden.insert(0, widths.popitem()[0])
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column("variable", overflow="fold")
    for title in widths:
        grid.add_column(title, justify="right", no_wrap=True)
    for number, name in enumerate(names):
        # As `Text`, since rich would take "[...]" in a name for markup.
        grid.add_row(Text(name), *(columns[title][number] for title in widths))
    console.print(grid)
    if hidden:
        console.print(f"hidden in a narrow terminal: {', '.join(hidden)}; see --json")
    if len(table) > SHOWN_ELEMENTS:
        console.print(f"and {len(table) - SHOWN_ELEMENTS:,} more elements: --json has them")


def print_lines(lines: Sequence[str]) -> None:
    """Print lines, each wrapped between its words to the width of the terminal."""
    width = Console().width
    for line in lines:
        typer.echo(fill(line, width, break_long_words=False, break_on_hyphens=False))


def records(table: pd.DataFrame) -> dict[str, dict[str, object]]:
    """Return the rows of a table by their names, for JSON."""
    return {
        str(name): {str(title): _number(value) for title, value in row.items()}
        for name, row in table.iterrows()
    }


def _number(value: object) -> object:
    # ArviZ rounds to texts.
    try:
        return float(str(value))
    except ValueError:
        return value


def _number_text(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _plain(value: Any) -> object:
    """Return a value as JSON has it."""
    match value:
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case np.generic():
            return _plain(value.item())
        case float() if not math.isfinite(value):
            return None
        case None | str() | bool() | int() | float():
            return value
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _plain(asdict(value))
    return str(value)
