"""Figures that a benchmark measured, as a JSON file, and the page that shows all such files.

A script writes its figures with `--json FILE`; files in the folder `figures/` beside this one make
the page `docs/figures.md`:

    .venv/bin/python benchmarks/passes.py --json benchmarks/figures/passes.json
    .venv/bin/python benchmarks/figures.py

`rerun.py` does both for all scripts, most of them in their small size, into `figures/small/`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    type Records = dict[str, dict[str, Any]]

FOLDER = Path(__file__).parent / "figures"
SMALL = FOLDER / "small"
PAGE = Path(__file__).parents[1] / "docs" / "figures.md"

HEAD = """\
---
orphan: true
---

# Figures

What the scripts in `benchmarks/` measured. Ratios count: the contenders ran in turns, in one run.
Times are of the machine that is named. The errors of fits are in units of the posterior standard
deviation, which is known from long NUTS runs (`benchmarks/truth/`). Figures in bold fall short of
what is wanted; [engine.md](engine.md) says why.

*This page is made by `benchmarks/figures.py` from the JSON files that the scripts write with
`--json`. Do not edit it.*
"""

SMALL_HEAD = """
## Small runs

The same scripts with little data and few turns, without other libraries: they show that a script
runs, and what became much slower. Targets are those of the full size, and ratios of short times are
noisy.
"""


@dataclass(frozen=True)
class Figure:
    """A claim, what was measured of it, and what is wanted.

    Attributes
    ----------
    claim : str
        What is measured, and of what it is a ratio.
    measured, wanted : str
        The numbers with their units.
    met : bool
        Whether the one reaches the other.
    """

    claim: str
    measured: str
    wanted: str
    met: bool


_noted: list[Figure] = []


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--json FILE` to the command line of a benchmark."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def note(claim: str, measured: str, wanted: str, *, met: bool) -> None:
    """Keep a figure for :func:`write_figures`."""
    _noted.append(Figure(claim, measured, wanted, met))


def write_figures(path: Path | None) -> None:
    """Write what was noted, with the command, the date and the machine; nothing without a path."""
    if path is None:
        return
    script, *arguments = sys.argv
    record = {
        "command": " ".join([Path(script).name, *map(_without_folder, _without_json(arguments))]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "figures": [asdict(figure) for figure in _noted],
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> str:
    """Return the cores, the processor and the system of this machine."""
    from bayou.cluster.cores import usable_cores

    return f"{usable_cores()} cores, {platform.machine()}, Python {platform.python_version()}"


def page(records: Records, small: Records | None = None) -> str:
    """Return the page of the contents of JSON files by their names, and of those of small runs."""
    lines = [HEAD, *_table(records)]
    if small:
        lines += [SMALL_HEAD, *_table(small)]
    lines += ["\n## Where and when\n", "| command | date | machine |", "|---|---|---|"]
    for record in [*records.values(), *(small or {}).values()]:
        load = "" if record["load"] is None else f"; load average {record['load']}"
        lines.append(f"| `{record['command']}` | {record['date']} | {record['machine']}{load} |")
    return "\n".join(lines) + "\n"


def _table(records: Records) -> list[str]:
    lines = ["| claim | command | measured | wanted |", "|---|---|---|---|"]
    for record in records.values():
        for figure in record["figures"]:
            measured = figure["measured"] if figure["met"] else f"**{figure['measured']}**"
            cells = (figure["claim"], f"`{record['command']}`", measured, figure["wanted"])
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return lines


def read_records(folder: Path = FOLDER) -> Records:
    """Return the contents of the JSON files of a folder by their names, in their order."""
    files = sorted(folder.glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def write_page() -> None:
    """Write the page of all files."""
    PAGE.write_text(page(read_records(), read_records(SMALL)), encoding="utf-8")


def _without_folder(argument: str) -> str:
    """Return an argument without the folders of the machine, if it is a path."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _without_json(arguments: list[str]) -> list[str]:
    kept, skip = [], False
    for argument in arguments:
        if not skip and not argument.startswith("--json"):
            kept.append(argument)
        skip = argument == "--json"
    return kept


if __name__ == "__main__":
    write_page()
