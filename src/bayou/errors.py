"""The exceptions and warnings of bayou, and the function that warns at the user's line."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

# With the separator: a neighbour of the package may have a name that begins like it.
_PACKAGE = str(Path(__file__).parent) + os.sep


class ConvergenceWarning(UserWarning):
    """A fit ended before its stopping rule was met."""


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
