"""The exceptions and warnings of bayou, and how a warning points at the line of the user."""

from __future__ import annotations

import warnings
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)


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
    """A folder of results holds, under one of the keys, results of other data."""


class RowsDependError(Exception):
    """Predictions for a row depend on other rows. The message says what shows it."""


class SourceError(OSError):
    """Rows cannot be read, or have changed since their source was opened."""


class WorkerDiedError(RuntimeError):
    """The process of a worker is gone: killed, out of memory, or lost with its machine."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of bayou that the call came from.

    Parameters
    ----------
    message : str
        What happened, then ``Hint:`` with what to do.
    category : type of Warning, default UserWarning
        The class of the warning.
    """
    warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
