"""A source of a user's own class, which needs three members only, or of some fields of a source.

The class of the user does not have to know bayou: members that it lacks get the default of
:class:`bayou.Source`.
"""

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
    """An object with ``fields``, ``blocks`` and ``read``, as a complete source.

    Parameters
    ----------
    source : object
        The object. It may also have ``num_rows``, ``num_dropped``, ``where``, ``null_counts``,
        ``bounds``, and ``take`` together with ``random_access``.
    columns : sequence of str, optional
        The fields to offer. By default all.

    Raises
    ------
    TypeError
        If a field of `source` is not a :class:`Field` of the name that it is listed under.
    ValueError
        If it has no fields or rows, or no such columns.
    """

    def __init__(self, source: Any, columns: Sequence[str] | None = None) -> None:
        self._inner = source
        fields: dict[str, Any] = dict(source.fields)
        for name, field in fields.items():
            if not isinstance(field, Field) or field.name != name:
                raise TypeError(
                    "`fields` must map the name of each field to a bayou.Field of that name, got "
                    f"{field!r} for {name!r}.\nHint: return {{field.name: field for field in ...}}."
                )
        if columns is not None:
            fields = {field.name: field for field in choose_fields(fields, columns)}
        self._fields: dict[str, Field] = fields
        check_not_empty(fields, len(source.blocks) and self.num_rows != 0)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The number of rows of each block of the object."""
        return self._inner.blocks  # type: ignore[no-any-return]

    @property
    def num_rows(self) -> int | None:
        """The number of rows by the object, or by its blocks."""
        return self._member("num_rows", super().num_rows)  # type: ignore[no-any-return]

    @property
    def where(self) -> str:
        """The path by the object, or the name of its class."""
        return self._member("where", None) or type(self._inner).__name__

    @property
    def num_dropped(self) -> int | None:
        """The number of dropped rows by the object."""
        return self._member("num_dropped", 0)  # type: ignore[no-any-return]

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the number of nulls of each field by the object."""
        counts: Mapping[str, int | None] = self._member("null_counts", dict)()
        return {name: counts.get(name) for name in self._fields}

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return the least and the largest value of a field by the object."""
        return self._member("bounds", super().bounds)(block, name)  # type: ignore[no-any-return]

    @property
    def random_access(self) -> bool:
        """Whether the object says so and has a ``take``."""
        return bool(self._member("random_access", False)) and hasattr(self._inner, "take")

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block of the object."""
        choose_fields(self._fields, names)
        yield from self._inner.read(block, names)

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return rows by their numbers, by the ``take`` of the object if it has one."""
        choose_fields(self._fields, names)
        if hasattr(self._inner, "take"):
            return self._inner.take(rows, names)  # type: ignore[no-any-return]
        return super().take(rows, names)

    def _member(self, name: str, default: object) -> Any:
        return getattr(self._inner, name, default)
