"""A source with text and categories as codes of a chosen table, and dates and durations as days.

Text costs a look-up in Arrow's hash table for each value; categories, one for each category.
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
# The code of a text that the table lacks, until all of them are listed in an error.
UNKNOWN_CODE = -2


@dataclass(frozen=True)
class Codes:
    """The conversion of text or categories to codes of a table of categories.

    Attributes
    ----------
    table : tuple of str
        The categories that the codes 0, 1, ... stand for.
    dim : str
        The dim that has the table as labels, for errors.
    unknown : str, optional
        The category of the table assigned to texts outside it. Without it they are an error.
    """

    table: tuple[str, ...]
    dim: str
    unknown: str | None = None

    def field(self, field: Field, name: str) -> Field:
        """Return the field of the codes that a field is converted to.

        Raises
        ------
        TypeError
            If the field is neither text nor categories.
        """
        is_text = field.dtype == object and field.stored_type is None
        if not is_text and field.categories is None:
            raise TypeError(
                f"`{field.name}` must be text or categories, codes of the dim {self.dim!r}, got "
                f"{_kind(field)}.\n"
                f"Hint: {as_text_hint(field.name)}."
            )
        return Field(name, np.dtype(np.int32), (), self.table)

    def convert(self, field: Field, values: NDArray[Any]) -> NDArray[Any]:
        """Return the codes of values.

        Parameters
        ----------
        field : Field
            The field of the values.
        values : ndarray of object or int32, shape (rows,)
            Text, or codes of ``field.categories``.

        Returns
        -------
        ndarray of int32, shape (rows,)
            -1 where missing, -2 where the table lacks the text and there is no `unknown`.
        """
        other = UNKNOWN_CODE if self.unknown is None else self.table.index(self.unknown)
        # The codes may be those of the table already.
        if field.categories == self.table:
            return values
        if field.categories is None:
            texts = as_texts(field.name, values)
            missing = texts.is_null().to_numpy(zero_copy_only=False)
            return np.where(missing, np.int32(MISSING_CODE), look_up(texts, self.table, other))
        codes = look_up(pa.array(field.categories, pa.string()), self.table, other)
        # The code -1, of a missing value, takes the last entry, which is -1 too.
        converted: NDArray[np.int32] = np.append(codes, np.int32(MISSING_CODE))[values]
        return converted


@dataclass(frozen=True)
class Days:
    """The conversion of dates to days since 1970-01-01 in UTC, exact to a microsecond."""

    def field(self, field: Field, name: str) -> Field:
        """Return the field of the days that a field is converted to.

        Raises
        ------
        TypeError
            If the field is not of dates.
        """
        if field.dtype.kind != "M":
            raise TypeError(
                f"`{field.name}` must be dates, got {_kind(field)}.\n"
                "Hint: convert it first, such as with pandas.to_datetime."
            )
        return Field(name, np.dtype(np.float64), field.shape)

    def convert(self, field: Field, values: NDArray[Any]) -> NDArray[Any]:
        """Return the days of dates.

        Parameters
        ----------
        field : Field
            The field of the dates, for the error.
        values : ndarray of datetime64, any shape
            The dates.

        Returns
        -------
        ndarray of float64, shape of `values`
            Days, NaN where there is no date.

        Raises
        ------
        ValueError
            If the days of a date would not give back its microseconds.
        """
        missing = np.isnat(values)
        moments = values.astype("M8[us]")
        whole_days, part = np.divmod(moments.view(np.int64), DAY)
        days = whole_days + part / DAY
        # Far from 1970 a float64 has no bits left for microseconds, and nanoseconds are lost above.
        exact = np.rint((days - whole_days) * DAY) == part
        exact &= moments.astype(values.dtype) == values
        if not (exact | missing).all():
            got = values[~(exact | missing)].ravel()[0]
            raise ValueError(
                f"`{field.name}` must hold dates that days in float64 keep to a microsecond, got "
                f"{got}.\nHint: round them, such as with frame[{field.name!r}].dt.floor('D')."
            )
        days[missing] = np.nan
        return days


@dataclass(frozen=True)
class DurationDays:
    """The conversion of durations, and of times of day as durations since midnight, to days."""

    def field(self, field: Field, name: str) -> Field:
        """Return the field of the days that a field is converted to.

        Raises
        ------
        TypeError
            If the field is not of durations.
        """
        if field.dtype.kind != "m":
            raise TypeError(
                f"`{field.name}` must be durations or times of day, got {_kind(field)}.\n"
                "Hint: convert it first, such as with pandas.to_timedelta."
            )
        return Field(name, np.dtype(np.float64), field.shape)

    def convert(self, field: Field, values: NDArray[Any]) -> NDArray[Any]:
        """Return the days of durations.

        Parameters
        ----------
        field : Field
            The field of the durations, for the error.
        values : ndarray of timedelta64, any shape
            The durations.

        Returns
        -------
        ndarray of float64, shape of `values`
            Days, NaN where there is no duration.

        Raises
        ------
        ValueError
            If they are counted in months or years, which have no length in days.
        """
        unit, _ = np.datetime_data(values.dtype)
        if unit in ("Y", "M", "generic"):
            raise ValueError(
                f"`{field.name}` must hold durations with a length in days, got {values.dtype}.\n"
                "Hint: convert them to a unit of weeks at most, such as timedelta64[s]."
            )
        one = np.array(1, values.dtype)
        day = np.array(1, "m8[D]")
        numbers = values.view(np.int64).astype(np.float64)
        # By whole numbers, of units a day or of days a unit, where that can be.
        days: NDArray[Any] = numbers / (day / one) if one <= day else numbers * (one / day)
        days[np.isnat(values)] = np.nan
        return days


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
                    raise self._unknown(origin, conversion)
            converted[name] = values
        return converted

    def _unknown(self, origin: str, codes: Codes) -> ValueError:
        """Return the error that lists all texts outside the table, after a pass over the field."""
        field = self._inner.fields[origin]
        unknown: set[str] = set()
        for block in range(len(self._inner.blocks)):
            for table in self._inner.read(block, [origin]):
                values = table[origin]
                outside = values[codes.convert(field, values) == UNKNOWN_CODE]
                unknown.update(distinct_texts(field, outside))
        return ValueError(
            f"`{origin}` must hold only categories of the dim {codes.dim!r}, "
            f"{listed(codes.table)}, got {listed(sorted(unknown))}.\n"
            "Hint: leave out such rows, or build the model with all categories, "
            f"pm.Model(coords={{{codes.dim!r}: [...]}}), or the container with unknown='other', "
            "which assigns all others to the category 'other'."
        )


def _kind(field: Field) -> str:
    if field.categories is not None:
        return "categories"
    return field.stored_type or ("text" if field.dtype == object else str(field.dtype))
