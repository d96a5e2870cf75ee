"""The exceptions and warnings of bayou, and the function that warns at the user's line."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# With the separator: a neighbour of the package may have a name that begins like it.
_PACKAGE = str(Path(__file__).parent) + os.sep


class ConvergenceWarning(UserWarning):
    """A fit ended before its stopping rule was met, or is not near enough to the posterior."""


class DivergenceError(FloatingPointError):
    """A fit met a loss that is not finite.

    Attributes
    ----------
    names : tuple of str
        The variables whose log density is not finite. Empty if only a gradient is not finite.
    """

    names: tuple[str, ...] = ()


class EmptySourceError(ValueError):
    """A source has no rows or no fields."""


class OtherDataError(ValueError):
    """A results folder has results of other data under one of the keys."""


class RowsDependError(Exception):
    """The predictions of a row depend on other rows. The message says how that shows."""


class SourceError(OSError):
    """Rows cannot be read, or have changed since their source was opened."""


class WorkerDiedError(RuntimeError):
    """A worker process has died: it was killed, ran out of memory, or its machine was lost."""


def failure_text(error: BaseException) -> str:
    r"""Return the type of an error and the first line of its message, without a full stop.

    Examples
    --------
    >>> failure_text(ValueError("No rows.\nHint: add some."))
    'ValueError: No rows'
    >>> failure_text(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": .")


@contextmanager
def warning_of_failure(lost: str, hint: str) -> Iterator[None]:
    """Warn of whatever fails in a ``with`` block, in the place of the error.

    For what describes or keeps a result: it must not cost the result.

    Parameters
    ----------
    lost : str
        A sentence without a full stop, of what is now missing.
    hint : str
        What to do.
    """
    try:
        yield
    # What can fail has no type of error in common: graphs of others, files, other libraries.
    except Exception as error:
        warn(f"{lost}: {failure_text(error)}.\nHint: {hint}")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that called bayou.

    Parameters
    ----------
    message : str
        What happened, then ``Hint:`` with what to do.
    category : type of Warning, default UserWarning
        The class of the warning.
    """
    warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
