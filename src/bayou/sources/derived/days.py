"""Dates, durations and times of day as days, exact to a microsecond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.sources.base.field import Field, stored_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY = 86_400_000_000  # microseconds


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
                f"`{field.name}` must be dates, got {stored_kind(field)}.\n"
                "Hint: convert it first, such as with pandas.to_datetime."
            )
        return Field(name, np.dtype(np.float64), field.shape)

    def convert(self, field: Field, values: NDArray[np.datetime64]) -> NDArray[np.float64]:
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
                f"`{field.name}` must be durations or times of day, got {stored_kind(field)}.\n"
                "Hint: convert it first, such as with pandas.to_timedelta."
            )
        return Field(name, np.dtype(np.float64), field.shape)

    def convert(self, field: Field, values: NDArray[np.timedelta64]) -> NDArray[np.float64]:
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
        days: NDArray[np.float64] = numbers / (day / one) if one <= day else numbers * (one / day)
        days[np.isnat(values)] = np.nan
        return days
