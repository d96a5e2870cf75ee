"""How a command ends: exit codes, errors without their traceback, and warnings as lines.

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed: the model file raised an error, a fit diverged, a file is damaged |
| 2 | refused: the arguments or the data do not do; nothing was written |
| 3 | done and written, but by its own checks not to be relied on |
| 130 | interrupted: what was done until then is printed and written, if there is a result already |
"""

from __future__ import annotations

import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from bayou.errors import ConvergenceWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
REFUSED = 2
DOUBTFUL = 3
INTERRUPTED = 130

# The name of the module that a model file becomes, by which tracebacks tell its lines.
MODEL_MODULE = "_bayou_model_file"
# What bayou raises before anything has changed.
REFUSALS = (ImportError, FileExistsError, FileNotFoundError, TypeError, ValueError)
# What errors of Python say, in the words of the command line.
OPTIONS = {
    'nulls="drop"': "--drop-nulls",
    "resume=True": "--resume",
    "by.scan(..., columns=[...])": "--columns",
    "pass format='parquet', 'ipc' or 'csv'": "pass --format parquet, ipc or csv",
    "with `format`": "with --format",
    "`what` must": "`DATA` must",
    "`path` must be a file that bayou wrote": "`RESULT` must be a file that bayou wrote",
    "see to_frame()": "see --json",
}
FRAME_HINT = (
    "the function gets a bayou.Source, which goes to by.Data(..., columns=...); annotate it to "
    "get a frame: `def model(data: pandas.DataFrame)`."
)


@dataclass
class Outcome:
    """What happened in a command that may end well.

    Attributes
    ----------
    is_doubtful : bool
        Whether a result should not be relied on, for the exit code.
    is_interrupted : bool
        Whether Ctrl-C stopped what the result is of.
    written : str or None
        The path of the result, once it is complete.
    doubts : list of str
        The warnings of the checks of results.
    """

    is_doubtful: bool = False
    is_interrupted: bool = False
    written: str | None = None
    doubts: list[str] = field(default_factory=list)


@contextmanager
def reported(debug: bool, *, goes_on: bool = False) -> Iterator[Outcome]:
    """Print errors and warnings of a command, and end it with its exit code.

    Parameters
    ----------
    debug : bool
        Whether to print the traceback of an error too.
    goes_on : bool, default False
        Whether the same command goes on where an interrupted one ended.
    """
    outcome = Outcome()
    try:
        with _printed_warnings(outcome):
            yield outcome
    except typer.Exit:
        raise
    except KeyboardInterrupt as interruption:
        text = _interruption_text(interruption, outcome)
        typer.echo(f"{text} The same command goes on from there." if goes_on else text, err=True)
        raise typer.Exit(INTERRUPTED) from None
    # The code of users, and of the libraries that they call, raises whatever it likes.
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        typer.echo(_text(error), err=True)
        raise typer.Exit(_code(error)) from error
    if outcome.is_interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.is_doubtful:
        raise typer.Exit(DOUBTFUL)


def _interruption_text(interruption: KeyboardInterrupt, outcome: Outcome) -> str:
    if outcome.written is not None:
        return f"Interrupted, after the result was written: {outcome.written}"
    reason = as_options(str(interruption))
    return f"Interrupted: {reason}" if reason else "Interrupted."


@contextmanager
def _printed_warnings(outcome: Outcome) -> Iterator[None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        typer.echo(f"Warning: {as_options(str(message))}", err=True)
        if issubclass(category, ConvergenceWarning):
            outcome.doubts.append(str(message))

    with warnings.catch_warnings():
        # Warnings of what is deprecated are for those who write code.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def _code(error: Exception) -> int:
    if _model_line(error) is not None or isinstance(error, SyntaxError):
        return FAILED
    return REFUSED if isinstance(error, REFUSALS) else FAILED


def _text(error: Exception) -> str:
    text = as_options(str(error))
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
        return f"{Path(error.filename or '').name}, line {error.lineno}:\n    {line}\n{error.msg}"
    frame = _model_line(error)
    if frame is None:
        if isinstance(error, (*REFUSALS, OSError)):
            return text
        return f"{type(error).__name__}: {text}\nHint: --debug prints the traceback."
    where = f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}"
    return f"{where}:\n    {frame.line}\n{type(error).__name__}: {text}{_frame_hint(error)}"


def _model_line(error: BaseException) -> traceback.FrameSummary | None:
    """Return the last line of the model file that an error came through, None without one."""
    frames = [
        (frame, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == MODEL_MODULE
    ]
    return traceback.StackSummary.extract(iter(frames[-1:]))[0] if frames else None


def _frame_hint(error: Exception) -> str:
    """Return the hint for a function that takes its data for a frame."""
    from bayou.sources import Source

    of_source = isinstance(error, AttributeError) and isinstance(error.obj, Source)
    of_field = isinstance(error, TypeError) and "'Column'" in str(error)
    return f"\nHint: {FRAME_HINT}" if of_source or of_field else ""


def as_options(text: str) -> str:
    """Return a text with the options of the command line in the place of arguments of Python."""
    for argument, option in OPTIONS.items():
        text = text.replace(argument, option)
    return text
