"""Lends the memory of a container's rows to a fit, which reads windows of its own meanwhile.

A fit that passes over a source would otherwise need room for its own windows beside the rows that
the containers have in memory, twice the ``in_memory_size`` that the user allowed.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from bayou.containers.variables.resident_rows import registered, registered_of, replace_rows
from bayou.errors import warn
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import fill_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytensor.link.basic import Container

    from bayou.containers.variables.resident_rows import Resident
    from bayou.feeding.feed import Arrays
    from bayou.sources.base.source import Column

_log = logging.getLogger(__name__)

# The rows that a container keeps while the memory of the others is lent: a callback of a fit may
# evaluate the model, which needs some.
REMAINING_ROWS = 1024
# So that fits in several threads are not lent the same rows.
_lending = Lock()


@contextmanager
def lend_memory(columns: Sequence[Column]) -> Iterator[Arrays | None]:
    """Lend the memory of the rows of some columns of a source, within a with block.

    Until the end of the block, the containers hold the first 1,024 of their rows; then all rows are
    read again.

    Parameters
    ----------
    columns : sequence of Column
        The columns that the containers were made of.

    Yields
    ------
    tuple of ndarray, or None
        One array for each column, all of one length, to write into. None if the containers have
        different windows, have all rows of the source, or are lent already.

    Warns
    -----
    UserWarning
        If the rows cannot be read again. The containers keep the first rows then.
    """
    with _lending:
        windows = _lendable(columns)
        arrays = tuple(resident.array for _, resident in windows)
        for container, resident in windows:
            resident.is_lent = True
            remaining = resident.array[:REMAINING_ROWS].copy()
            replace_rows(container, resident, resident.start, remaining)
    if not windows:
        yield None
        return
    try:
        yield arrays
    except BaseException as error:
        fault = _read_again(windows, arrays)
        if fault is not None:
            error.add_note(fault)
        raise
    fault = _read_again(windows, arrays)
    if fault is not None:
        warn(fault)


def _lendable(columns: Sequence[Column]) -> list[tuple[Container, Resident]]:
    """Return a container and its window for each column; none if their windows differ."""
    chosen: dict[int, tuple[Container, Resident]] = {}
    for column in columns:
        for container, resident in registered_of(column.source):
            is_free = not (resident.is_lent or resident.is_complete or id(resident) in chosen)
            if resident.column is column and is_free:
                chosen[id(resident)] = container, resident
                break
    windows = {(resident.start, resident.size) for _, resident in chosen.values()}
    return list(chosen.values()) if len(chosen) == len(columns) and len(windows) == 1 else []


def _read_again(windows: Sequence[tuple[Container, Resident]], arrays: Arrays) -> str | None:
    """Read the rows that the containers had before; return why that failed, if it did."""
    residents = [resident for _, resident in windows]
    first, columns = residents[0], tuple(resident.column for resident in residents)
    try:
        fill_rows(ColumnLayout(columns), first.blocks, first.start, arrays)
    except Exception as error:
        # Whatever the source raises, the fit that ends here must not be lost.
        _log.warning("Rows of %s cannot be read again", columns[0].name, exc_info=True)
        return (
            f"Containers of {[column.name for column in columns]} must read their "
            f"{len(arrays[0])} rows again, from row {first.start} on, after a fit used their "
            f"memory, got {type(error).__name__}: {str(error).splitlines()[0]}\n"
            f"Hint: they hold the first {first.size} of these rows now; build the containers anew "
            "for more."
        )
    else:
        for (container, resident), array in zip(windows, arrays, strict=True):
            # Unless the user has set another value meanwhile.
            if registered(container) is resident:
                replace_rows(container, resident, resident.start, array)
    finally:
        for resident in residents:
            resident.is_lent = False
    return None
