"""Threads that use the data of one model: many may read at once, and one may change them alone.

A fit, a sample and a prediction read the data of their model from their start to their end.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pymc as pm
    from pytensor.compile.sharedvalue import SharedVariable


@dataclass(frozen=True, eq=False)
class _Access:
    """The use of some data by a thread, by the identities of PyTensor's containers of values."""

    thread: int
    containers: frozenset[int]
    changes: bool

    def excludes(self, other: _Access) -> bool:
        """Return whether both cannot be at once."""
        return (
            self.thread != other.thread
            and (self.changes or other.changes)
            and not self.containers.isdisjoint(other.containers)
        )


# Of all threads: accesses that are under way, and changes that wait for them to end.
_condition = threading.Condition()
_accesses: list[_Access] = []
_waiting: list[_Access] = []


@contextmanager
def reading_data(model: pm.Model) -> Iterator[None]:
    """Have changes of the data of a model from other threads wait until the end of a with block."""
    with _access(model.root.data_vars, changes=False):
        yield


@contextmanager
def changing_data(variables: Iterable[SharedVariable]) -> Iterator[None]:
    """Wait until no other thread uses the data of variables, and have others wait for the block.

    A thread that reads data may change them itself, such as a callback of a fit.
    """
    with _access(variables, changes=True):
        yield


@contextmanager
def _access(variables: Iterable[SharedVariable], *, changes: bool) -> Iterator[None]:
    # Clones of a model have variables of their own, and containers in common.
    containers = frozenset(
        id(variable.container) for variable in variables if hasattr(variable, "container")
    )
    access = _Access(threading.get_ident(), containers, changes)
    with _condition:
        if changes:
            _waiting.append(access)
        try:
            _condition.wait_for(lambda: _may_begin(access))
            _accesses.append(access)
        finally:
            if changes:
                _waiting.remove(access)
            _condition.notify_all()
    try:
        yield
    finally:
        with _condition:
            _accesses.remove(access)
            _condition.notify_all()


def _may_begin(access: _Access) -> bool:
    if any(access.excludes(other) for other in _accesses):
        return False
    # Changes that wait go first, so that one fit after another does not keep them waiting; but not
    # before what belongs to an access that they wait for.
    is_inner = any(
        other.thread == access.thread and not other.containers.isdisjoint(access.containers)
        for other in _accesses
    )
    return access.changes or is_inner or not any(access.excludes(other) for other in _waiting)
