"""A source whose text and categories come as codes of a table of ours, and dates as days.

Each value costs a look-up in Arrow's hash table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.source import Source
from bayou.sources.base.text_codes import (
    MISSING_CODE,
    as_text_hint,
    as_texts,
    distinct_texts,
    look_up,
)
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table

DAY = 86_400_000_000  # microseconds
UNKNOWN_CODE = -2


@dataclass(frozen=True)
class Codes:
    """Text or categories as codes of a table of categories.

    Attributes
    ----------
    table : tuple of str
        What the codes 0, 1, ... stand for.
    dim : str
        What the table belongs to, for the errors.
    unknown : str, optional
        The category of the table that all others become; without it they are refused.
    """

    table: tuple[str, ...]
    dim: str
    unknown: str | None = None

    def field(self, field: Field, name: str) -> Field:
        """Return the field of the codes of another field."""
        if field.dtype != object and field.categories is None:
            raise TypeError(
                f"`{field.name}` must be text or categories, codes of the dim {self.dim!r}, got "
                f"{field.dtype}.\n"
                f"Hint: {as_text_hint(field.name)}."
            )
        return Field(name, np.dtype(np.int32), (), self.table)

    def convert(self, field: Field, values: NDArray[Any]) -> NDArray[Any]:
        """Return codes: -1 where missing, -2 where unknown."""
        other = UNKNOWN_CODE if self.unknown is None else self.table.index(self.unknown)
        if field.categories == self.table:
            return values
        if field.categories is None:
            texts = as_texts(field.name, values)
            missing = texts.is_null().to_numpy(zero_copy_only=False)
            return np.where(missing, np.int32(MISSING_CODE), look_up(texts, self.table, other))
        codes = look_up(pa.array(field.categories, pa.string()), self.table, other)
        # The last entry is that of a missing value, -1.
        table = np.append(codes, np.int32(MISSING_CODE))
        converted: NDArray[Any] = table[values]
        return converted


@dataclass(frozen=True)
class Days:
    """Dates as days since 1970-01-01 in UTC, exact to a microsecond."""

    def field(self, field: Field, name: str) -> Field:
        """Return the field of the days of another field."""
        if field.dtype.kind != "M":
            raise TypeError(
                f"`{field.name}` must be dates, got {_kind(field)}.\n"
                "Hint: convert it first, such as with pandas.to_datetime."
            )
        return Field(name, np.dtype(np.float64), field.shape)

    def convert(self, field: Field, values: NDArray[Any]) -> NDArray[Any]:
        """Return days, NaN where there is no date."""
        missing = np.isnat(values)
        moments = values.astype("M8[us]")
        whole, part = np.divmod(moments.view(np.int64), DAY)
        days = whole + part / DAY
        kept = np.rint((days - whole) * DAY) == part
        kept &= moments.astype(values.dtype) == values
        if not (kept | missing).all():
            got = values[~(kept | missing)].ravel()[0]
            raise ValueError(
                f"`{field.name}` must hold dates that days in float64 keep to a microsecond, got "
                f"{got}.\nHint: round them, such as with frame[{field.name!r}].dt.floor('D')."
            )
        days[missing] = np.nan
        return days


type Conversion = Codes | Days


class Recoded(Source):
    """The rows of another source, some of its fields as codes or days.

    Parameters
    ----------
    inner : Source
        Where the rows are.
    wanted : mapping of str to (str, Codes or Days or None)
        For each field that there is to be, which one it is made from, and how.

    Raises
    ------
    TypeError
        If a field cannot be made from the one named.
    """

    def __init__(self, inner: Source, wanted: Mapping[str, tuple[str, Conversion | None]]) -> None:
        self._inner = inner
        self._wanted = dict(wanted)
        self._fields = {
            name: inner.fields[origin]
            if conversion is None
            else conversion.field(inner.fields[origin], name)
            for name, (origin, conversion) in wanted.items()
        }

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The blocks of the other source."""
        return self._inner.blocks

    @property
    def num_rows(self) -> int | None:
        """The rows of the other source."""
        return self._inner.num_rows

    @property
    def num_dropped(self) -> int | None:
        """The rows that the other source left out."""
        return self._inner.num_dropped

    @property
    def random_access(self) -> bool:
        """Whether the other source has it."""
        return self._inner.random_access

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block, its fields converted.

        Raises
        ------
        ValueError
            If there are unknown categories, with all of them, or dates that days cannot hold.
        """
        choose_fields(self._fields, names)
        for table in self._inner.read(block, self._origins(names)):
            yield self._converted(table, names)

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return some rows, their fields converted."""
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
                    raise self._unknown(origin, conversion)
            converted[name] = values
        return converted

    def _unknown(self, origin: str, codes: Codes) -> ValueError:
        """Pass over a field; return the error that lists all that is not in the table."""
        field = self._inner.fields[origin]
        found: dict[str, None] = {}
        for block in range(len(self._inner.blocks)):
            for table in self._inner.read(block, [origin]):
                values = table[origin]
                strays = values[codes.convert(field, values) == UNKNOWN_CODE]
                found |= dict.fromkeys(distinct_texts(field, strays))
        return ValueError(
            f"`{origin}` must be of the categories of the dim {codes.dim!r}, "
            f"{listed(codes.table)}, got {listed(sorted(found))}.\n"
            "Hint: leave out such rows, give the dim all categories when the model is built, "
            f"pm.Model(coords={{{codes.dim!r}: [...]}}), or build the container with "
            "unknown='other', the category that all unknown ones become."
        )


def _kind(field: Field) -> str:
    if field.categories is not None:
        return "categories"
    return "text" if field.dtype == object else str(field.dtype)
