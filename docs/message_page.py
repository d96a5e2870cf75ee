"""Write the page of errors and warnings from the texts that the code raises and warns with."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = Path(by.__file__).parent
# What a reader was doing, and the folders and files whose messages belong to it.
TASKS = {
    "Data in a model": ("containers", "dims"),
    "Sources of rows": ("sources", "datasets"),
    "Batches of rows": ("sampling", "feeding"),
    "Looking at rows, shuffling and counting them": ("preparation", "compression"),
    "Models that cannot be computed, or not in batches": ("models", "density", "batching"),
    "Fits, and the way to a posterior": ("fitting", "ladder"),
    "Chains": ("nuts",),
    "Many data sets": ("many",),
    "Predictions": ("prediction",),
    "Records of models and data": ("provenance",),
    "Files and machines": ("storage", "cluster", "progress"),
    "Code of PyMC3": ("pymc3",),
    "Arguments of any function": ("arguments", "errors", "text", "testing", "cli"),
}
# Values stand in a message where this stands in the table.
VALUE = "…"
INTRODUCTION = """# Errors and warnings

Every message of bayou has two lines: what is wrong, with the argument, the rule and the value that
was received; and what to do. This page lists them, as the code has them, by what you were doing.
`…` stands for a value. Search for the part of your message without values, with the search of your
browser.

A {class}`bayou.ConvergenceWarning` says that a result may not be what it looks like; see
[](../how_to/read_a_verdict.md) and [](../how_to/divergence.md). A
{class}`bayou.DivergenceError` names the variables whose density is not finite. A
{class}`bayou.SourceError` says that rows cannot be read, or changed while they were read. All else
are the exceptions of Python: `ValueError` for a value out of its range, `TypeError` for one of the
wrong kind, `ImportError` for an extra that is not installed ([](../start/install.md)).
"""


@dataclass(frozen=True, order=True)
class Message:
    """An error or a warning, with its type, what it says, and what to do."""

    text: str
    hint: str
    kind: str
    folder: str


def messages() -> list[Message]:
    """Return all messages with a hint in the code of bayou, in alphabetical order."""
    found = set[Message]()
    for file in sorted(PACKAGE.rglob("*.py")):
        folder = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = _text_constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                text = template(node.args[0], constants)
                message, _, hint = text.partition("\nHint: ")
                if hint:
                    found.add(Message(message, hint, _kind(node), folder))
    return sorted(found)


def _text_constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def template(node: ast.expr, constants: Mapping[str, str]) -> str:
    """Return the text of a literal or f-string, with a sign for each value.

    Constants of the module stand for themselves.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(template(part, constants) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return constants[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return template(left, constants) + template(right, constants)
    return VALUE


def _kind(call: ast.Call) -> str:
    """Return the type of error or warning that a call builds."""
    name = ast.unparse(call.func).rpartition(".")[2]
    if name == "warn":
        return ast.unparse(call.args[1]) if len(call.args) > 1 else "UserWarning"
    return name if name.endswith(("Error", "Warning", "Exit")) else "error"


def page() -> str:
    """Return the page, in Markdown."""
    listed = messages()
    return INTRODUCTION + "".join(
        _section(task, [message for message in listed if message.folder in folders])
        for task, folders in TASKS.items()
    )


def _section(task: str, listed: list[Message]) -> str:
    if not listed:
        return ""
    rows = "".join(
        f"| {_cell(message.text)} | `{message.kind}` | {_cell(message.hint)} |\n"
        for message in listed
    )
    return f"\n## {task}\n\n| message | type | what to do |\n|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    """Return text for a cell of a table, in which `code` and names of pages are markup."""
    pieces = re.split(r"(`[^`]*`|docs/[a-z_/]+\.md)", " ".join(text.split()))
    return "".join(map(_marked, pieces))


def _marked(piece: str) -> str:
    if piece.startswith("`"):
        return piece.replace("|", r"\|")
    if piece.startswith("docs/"):
        return f"[](../{piece.removeprefix('docs/')})"
    return re.sub(r"([\\|*_<>\[\]{}$`#~])", r"\\\1", piece)


def write_page(path: Path) -> None:
    """Write the page, if it would change."""
    text = page()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
