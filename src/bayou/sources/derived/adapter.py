"""A source made of another one: of a user's own class, or of some of the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.source import Source
from bayou.sources.in_memory.array import check_not_empty

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bayou.sources.base.field import Table


class WrappedSource(Source):
    """What has ``fields``, ``blocks`` and ``read``, with the rest that a source has.

    Parameters
    ----------
    inner : object
        It may also have ``num_rows``, ``num_dropped``, ``null_counts``, ``bounds``, and ``take``
        together with ``random_access``.
    columns : sequence of str, optional
        The fields to offer; all of them if left out.

    Raises
    ------
    TypeError
        If `inner` has fields that are no :class:`Field`, by the name that they are listed under.
    ValueError
        If it has no fields or rows, or no such columns.
    """

    def __init__(self, inner: Any, columns: Sequence[str] | None = None) -> None:
        self._inner = inner
        fields: dict[str, Any] = dict(inner.fields)
        for name, field in fields.items():
            if not isinstance(field, Field) or field.name != name:
                raise TypeError(
                    "`fields` must map the name of each field to a bayou.Field of that name, got "
                    f"{field!r} for {name!r}.\nHint: return {{field.name: field for field in ...}}."
                )
        if columns is not None:
            fields = {field.name: field for field in choose_fields(fields, columns)}
        self._fields: dict[str, Field] = fields
        check_not_empty(fields, len(inner.blocks) and self.num_rows != 0)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The blocks of what is wrapped."""
        return self._inner.blocks  # type: ignore[no-any-return]

    @property
    def num_rows(self) -> int | None:
        """The rows that it says to have, or those of its blocks."""
        return self._own("num_rows", super().num_rows)  # type: ignore[no-any-return]

    @property
    def where(self) -> str:
        """Where the rows of what is wrapped are, or of what class it is."""
        return self._own("where", None) or type(self._inner).__name__

    @property
    def num_dropped(self) -> int | None:
        """The rows that it says to have dropped."""
        return self._own("num_dropped", 0)  # type: ignore[no-any-return]

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the nulls that it says to have counted."""
        counts: Mapping[str, int | None] = self._own("null_counts", dict)()
        return {name: counts.get(name) for name in self._fields}

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return the bounds that it says to have."""
        return self._own("bounds", super().bounds)(block, name)  # type: ignore[no-any-return]

    @property
    def random_access(self) -> bool:
        """Whether it has random access, and a way to take rows."""
        return bool(self._own("random_access", False)) and hasattr(self._inner, "take")

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block of what is wrapped."""
        choose_fields(self._fields, names)
        yield from self._inner.read(block, names)

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return some rows, in the way of what is wrapped if it has one."""
        choose_fields(self._fields, names)
        if hasattr(self._inner, "take"):
            return self._inner.take(rows, names)  # type: ignore[no-any-return]
        return super().take(rows, names)

    def _own(self, name: str, default: Any) -> Any:
        return getattr(self._inner, name, default)
