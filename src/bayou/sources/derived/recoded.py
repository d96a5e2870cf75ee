"""A source with text and categories as codes of a chosen table, and dates and durations as days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.sources.base.field import choose_fields
from bayou.sources.base.source import Source
from bayou.sources.derived.days import Days, DurationDays
from bayou.sources.derived.unknown_categories import UNKNOWN_CODE, Codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table

type Conversion = Codes | Days | DurationDays


class Recoded(Source):
    """The rows of another source, with some of its fields as codes or days.

    Parameters
    ----------
    source : Source
        The other source.
    wanted : mapping of str to (str, Codes or Days or DurationDays or None)
        For each new field, by its name, the name of the field that it is made from and the
        conversion. None keeps the values as they are.

    Raises
    ------
    TypeError
        If a field cannot be converted.
    """

    def __init__(self, source: Source, wanted: Mapping[str, tuple[str, Conversion | None]]) -> None:
        self._inner = source
        self._wanted = dict(wanted)
        self._fields = {
            name: source.fields[origin]
            if conversion is None
            else conversion.field(source.fields[origin], name)
            for name, (origin, conversion) in wanted.items()
        }

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The number of rows of each block of the other source."""
        return self._inner.blocks

    @property
    def num_rows(self) -> int | None:
        """The number of rows of the other source."""
        return self._inner.num_rows

    @property
    def num_dropped(self) -> int | None:
        """The number of rows that the other source left out."""
        return self._inner.num_dropped

    @property
    def random_access(self) -> bool:
        """Whether the other source has random access."""
        return self._inner.random_access

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block with its fields converted.

        Raises
        ------
        ValueError
            If there are unknown categories, all of which are listed, or inexact dates.
        """
        choose_fields(self._fields, names)
        for table in self._inner.read(block, self._origins(names)):
            yield self._converted(table, names)

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return rows by their numbers, with their fields converted."""
        choose_fields(self._fields, names)
        return self._converted(self._inner.take(rows, self._origins(names)), names)

    def _origins(self, names: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(self._wanted[name][0] for name in names))

    def _converted(self, table: Table, names: Sequence[str]) -> Table:
        converted = {}
        for name in names:
            origin, conversion = self._wanted[name]
            values = table[origin]
            if conversion is not None:
                values = conversion.convert(self._inner.fields[origin], values)
                if isinstance(conversion, Codes) and values.min(initial=0) == UNKNOWN_CODE:
                    inner = self._inner
                    tables = (
                        table
                        for block in range(len(inner.blocks))
                        for table in inner.read(block, [origin])
                    )
                    raise conversion.unknown_error(inner.fields[origin], tables)
            converted[name] = values
        return converted
