"""Turns rows of named columns into the values of a container: exact, with missing values refused.

A reader holds a column of a source, which any table becomes when it is opened. All readers of one
table share that source, so that their rows are read in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.containers.reading.columns import ColumnKind, kind_of, kind_text
from bayou.containers.reading.exact_cast import exact_cast, natural_dtype
from bayou.sources.base.text_codes import MISSING_CODE, as_text_hint
from bayou.sources.derived.days import Days, DurationDays
from bayou.sources.derived.recoded import Recoded
from bayou.sources.derived.unknown_categories import Codes
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayou.containers.reading.columns import Columns
    from bayou.containers.variables.dims import Numbers
    from bayou.sources.base.field import Field
    from bayou.sources.base.source import Column, Source
    from bayou.sources.derived.recoded import Conversion

# The number of rows that an error lists.
LISTED_ROWS = 5


@dataclass(frozen=True, eq=False)
class ColumnReader:
    """Turns rows of a table into the values of a container.

    Attributes
    ----------
    column : Column
        The columns of the container, in a source that all readers of the table share.
    name : str
        The name of the container, for errors.
    columns : Columns
        What the container notes about its columns.
    dtype : numpy.dtype
        The dtype of the container.
    """

    column: Column
    name: str
    columns: Columns
    dtype: np.dtype

    def values(self, array: Numbers, first_row: int = 0) -> Numbers:
        """Return the values of the container for rows that were read of the column.

        Parameters
        ----------
        array : ndarray of ``column.dtype``, shape (rows, *column.shape)
            The rows.
        first_row : int, default 0
            The number of the first of them, for errors.

        Returns
        -------
        ndarray of ``dtype``, of the same shape

        Raises
        ------
        ValueError
            If a value is missing, or the container's dtype cannot represent it.
        """
        values, missing = self.split_missing(array)
        self.check_none_missing(missing, first_row)
        return values

    def split_missing(self, array: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
        """Return the values of the container for rows, and which of them are missing.

        Parameters
        ----------
        array : ndarray of ``column.dtype``, shape (rows, *column.shape)
            The rows.

        Returns
        -------
        values : ndarray of ``dtype``, of the same shape
            NaN at missing floats, -1 at missing codes, 0 at other missing integers.
        missing : ndarray of bool, of the same shape
            True where a value is missing.
        """
        missing = np.zeros(array.shape, dtype=bool)
        if self.columns.categories is not None:
            missing = array == MISSING_CODE
        elif array.dtype.kind == "f":
            missing = np.isnan(array)
        # Integers with missing values come as floats; NaN has no integer value to be cast to.
        if missing.any() and self.dtype.kind not in "f" and array.dtype.kind == "f":
            array = np.where(missing, 0, array)
        values = exact_cast(array, self.dtype, self._subject)
        self._check_dates(array, values, missing)
        return values, missing

    def _check_dates(self, array: Numbers, values: Numbers, missing: NDArray[np.bool_]) -> None:
        """Check that days keep their value in the container's floats, which others may lose."""
        for name in self.columns.dates:
            index = (..., self.columns.names.index(name)) if self.columns.is_matrix else ...
            is_exact = (values[index] == array[index]) | missing[index]
            if not is_exact.all():
                raise ValueError(
                    f"{self._subject} must be dates that days in {self.dtype} keep, got days such "
                    f"as {array[index][~is_exact].ravel()[0]} in {name!r}.\n"
                    "Hint: set pytensor's `floatX` to float64, or count days from a later date."
                )

    @property
    def _subject(self) -> str:
        return f"The columns of data container {self.name!r}"

    def check_none_missing(self, missing: NDArray[np.bool_], first_row: int = 0) -> None:
        """Check that no value is missing.

        Parameters
        ----------
        missing : ndarray of bool, shape (rows, *column.shape)
            True where a value is missing.
        first_row : int, default 0
            The number of the first row, for errors.

        Raises
        ------
        ValueError
            If one is missing. The error lists the columns and rows.
        """
        if not missing.any():
            return
        names = self.columns.names
        by_name = (
            {name: missing[:, index] for index, name in enumerate(names)}
            if self.columns.is_matrix
            else {names[0]: missing.reshape(len(missing), -1).any(axis=1)}
        )
        texts = [
            f"{name!r} in {_row_numbers(is_missing, first_row)}"
            for name, is_missing in by_name.items()
            if is_missing.any()
        ]
        raise ValueError(
            f"{self._subject} must hold no missing values, got some: {'; '.join(texts)}.\n"
            f"Hint: {self._missing_hint}."
        )

    @property
    def _missing_hint(self) -> str:
        """The advice about missing values."""
        if self.columns.missing != "refuse":
            return (
                f"missing={self.columns.missing!r} is for the rows that are fitted: predictions "
                "are for every row; drop such rows first, as with frame.dropna(), or fill them in"
            )
        drop = (
            "build the container with missing='drop', which leaves such rows out of a fit, though "
            "not out of predictions"
        )
        if self.columns.categories is None:
            return f"fill them in, or {drop}, or, where it is observed, with missing='impute'"
        unknown = self.columns.unknown
        if unknown is None:
            return f"fill them in with a category, or {drop}"
        return (
            f"a missing value is not an unknown category: fill it in with {unknown!r} first if it "
            f"is to count as that, or {drop}"
        )


def _row_numbers(is_missing: NDArray[np.bool_], first_row: int) -> str:
    rows = [int(row) + first_row for row in np.flatnonzero(is_missing)]
    return f"{'row' if len(rows) == 1 else 'rows'} {listed(rows, LISTED_ROWS, str)}"


@dataclass(frozen=True)
class WantedColumns:
    """A container that a table is to be read for.

    Attributes
    ----------
    name : str
        The name of the container.
    columns : Columns
        Its columns.
    dtype : numpy.dtype or str, optional
        Its dtype; by default that of the columns.
    """

    name: str
    columns: Columns
    dtype: np.dtype | str | None = None


def column_readers[Key](
    source: Source, wanted: Mapping[Key, WantedColumns]
) -> dict[Key, ColumnReader]:
    """Return the readers of some containers' columns, over one source.

    Parameters
    ----------
    source : Source
        A source that has the columns.
    wanted : mapping of Key to WantedColumns
        The containers.

    Raises
    ------
    TypeError
        If a column is of another kind than its container takes.
    """
    fields: dict[str, tuple[str, Conversion | None]] = {}
    field_names: dict[Key, list[str]] = {}
    for key, container in wanted.items():
        field_names[key] = []
        for name in container.columns.names:
            field = source.fields[name]
            _check_kind(field, container)
            if fields.setdefault(name, _recode(field, container)) == _recode(field, container):
                field_names[key].append(name)
                continue
            # Two containers may code the same column by different categories.
            fields[f"{name} ({container.name})"] = _recode(field, container)
            field_names[key].append(f"{name} ({container.name})")
    is_plain = all(conversion is None for _, conversion in fields.values())
    rows = source if is_plain else Recoded(source, fields)
    return {
        key: ColumnReader(
            rows[field_names[key] if container.columns.is_matrix else field_names[key][0]],
            container.name,
            container.columns,
            np.dtype(container.dtype or _default_dtype(source, container.columns)),
        )
        for key, container in wanted.items()
    }


def _recode(field: Field, container: WantedColumns) -> tuple[str, Conversion | None]:
    """Return the name of a field, and the conversion of its values for a container."""
    columns = container.columns
    if columns.categories is not None and field.categories != columns.categories:
        codes = Codes(columns.categories, str(columns.categories_dim), columns.unknown)
        return field.name, codes
    if field.name in columns.durations:
        return field.name, DurationDays()
    return field.name, Days() if field.name in columns.dates else None


def _default_dtype(source: Source, columns: Columns) -> np.dtype:
    if columns.categories is not None:
        return np.dtype(np.int32)
    dtypes = [
        np.dtype(np.float64) if field.dtype.kind in "mM" else field.unmarked or field.dtype
        for field in map(source.fields.__getitem__, columns.names)
    ]
    return natural_dtype(dtypes)


def _check_kind(field: Field, container: WantedColumns) -> None:
    """Check that a column is of the kind that its container was built from."""
    wanted = ColumnKind.NUMBERS
    if container.columns.categories is not None:
        wanted = ColumnKind.CATEGORIES
    elif field.name in container.columns.dates:
        wanted = ColumnKind.DATES
    elif field.name in container.columns.durations:
        wanted = ColumnKind.DURATIONS
    if kind_of(field) is not wanted:
        hints = {
            ColumnKind.NUMBERS: (
                "convert it to numbers first; text needs `categories=` when the container is built"
            ),
            ColumnKind.DATES: "convert it, such as with pandas.to_datetime",
            ColumnKind.DURATIONS: "convert it, such as with pandas.to_timedelta",
            ColumnKind.CATEGORIES: as_text_hint(field.name),
        }
        raise TypeError(
            f"The column {field.name!r} of data container {container.name!r} must hold "
            f"{wanted.value}, got {kind_text(field)}.\nHint: {hints[wanted]}."
        )
