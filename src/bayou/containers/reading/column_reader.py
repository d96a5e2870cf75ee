"""Which columns of a table a container was built from, and how rows of another table feed it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.reading.exact_cast import exact_cast
from bayou.containers.reading.labelled_array import natural_dtype
from bayou.errors import EmptySourceError
from bayou.sources.base.text_codes import MISSING_CODE, as_text_hint
from bayou.sources.derived.recoded import Codes, Days, Recoded
from bayou.sources.in_memory.array import check_names
from bayou.sources.named_columns import named
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field
    from bayou.sources.base.source import Column
    from bayou.sources.derived.recoded import Conversion
    from bayou.sources.named_columns import Named, Opened

# Of the rows that an error lists.
SHOWN = 5


@dataclass(frozen=True)
class Columns:
    """What a data container was built from, and takes again.

    Attributes
    ----------
    names : tuple of str
        The columns, in the order of the container.
    is_matrix : bool
        Whether a list of columns was given: each is a column of the container's last axis.
    categories : tuple of str or None
        What the codes that the container holds stand for.
    categories_dim : str or None
        The dim that has the categories as coords.
    unknown : str or None
        The category that all others become; None refuses them.
    missing : {"refuse", "impute", "drop"}
        What is done about missing values.
    num_dropped : int
        Rows that were left out for missing values, of this or another container of the dim.
    source : str
        Where the rows came from, in words.
    dates : tuple of str
        Those of the columns that are dates, which the container holds as days since 1970.
    """

    names: tuple[str, ...]
    is_matrix: bool
    categories: tuple[str, ...] | None
    categories_dim: str | None
    unknown: str | None
    missing: str
    num_dropped: int
    source: str
    dates: tuple[str, ...] = ()


def columns_of(variable: Any) -> Columns | None:
    """Return what a data container was built from; None for one that knows no columns."""
    columns: Columns | None = getattr(getattr(variable, "tag", None), "columns", None)
    return columns


@dataclass(frozen=True, eq=False)
class ColumnReader:
    """What turns rows of a table into what a container holds.

    Attributes
    ----------
    column : Column
        The columns of the container, of a source that all readers share.
    name : str
        The container.
    columns : Columns
        What it was built from.
    dtype : numpy.dtype
        What it holds.
    """

    column: Column
    name: str
    columns: Columns
    dtype: np.dtype[Any]

    def values(self, array: NDArray[Any], first_row: int = 0) -> NDArray[Any]:
        """Return what the container holds for rows that were read of the column.

        Parameters
        ----------
        array : ndarray of ``column.dtype``, shape (rows, *column.shape)
            The rows.
        first_row : int, default 0
            The number of the first of them, for the errors.

        Returns
        -------
        ndarray of ``dtype``, of the same shape

        Raises
        ------
        ValueError
            If a value is missing, or the container's dtype does not hold it.
        """
        values, missing = self.split(array)
        self.refuse_missing(missing, first_row)
        return values

    def split(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return what the container holds for rows, and which of these values are missing.

        A missing value is NaN among floats, -1 among codes and 0 among other integers.
        """
        missing = np.zeros(array.shape, dtype=bool)
        if self.columns.categories is not None:
            missing = array == MISSING_CODE
        elif array.dtype.kind == "f":
            missing = np.isnan(array)
        if missing.any() and self.dtype.kind not in "f" and array.dtype.kind == "f":
            array = np.where(missing, 0, array)
        values = exact_cast(array, self.dtype, self._what)
        for date in self.columns.dates:
            place = (..., self.columns.names.index(date)) if self.columns.is_matrix else ...
            kept = (values[place] == array[place]) | missing[place]
            if not kept.all():
                raise ValueError(
                    f"{self._what} must be dates that days in {self.dtype} keep, got days such as "
                    f"{array[place][~kept].ravel()[0]} in {date!r}.\n"
                    "Hint: set pytensor's `floatX` to float64, or count days from a later date."
                )
        return values, missing

    @property
    def _what(self) -> str:
        return f"The columns of data container {self.name!r}"

    def refuse_missing(self, missing: NDArray[np.bool_], first_row: int = 0) -> None:
        """Refuse missing values, with their columns and rows."""
        if not missing.any():
            return
        names = self.columns.names
        by_name = (
            {name: missing[:, place] for place, name in enumerate(names)}
            if self.columns.is_matrix
            else {names[0]: missing.reshape(len(missing), -1).any(axis=1)}
        )
        found = []
        for name, lacking in by_name.items():
            rows = [str(row + first_row) for row in np.flatnonzero(lacking)]
            if rows:
                noun = "row" if len(rows) == 1 else "rows"
                found.append(f"{name!r} in {noun} {listed(rows, SHOWN, str)}")
        raise ValueError(
            f"{self._what} must hold no missing values, got some: {'; '.join(found)}.\n"
            f"Hint: {self._hint}."
        )

    @property
    def _hint(self) -> str:
        """What to do about missing values."""
        if self.columns.missing != "refuse":
            return (
                f"missing={self.columns.missing!r} is for the rows that are fitted: predictions "
                "leave out none; leave them out first, such as with frame.dropna(), or fill them in"
            )
        drop = (
            "build the container with missing='drop', which leaves out such rows of those that are "
            "fitted, though not of predictions"
        )
        if self.columns.categories is None:
            return f"fill them in, or {drop}, or, where it is observed, with missing='impute'"
        unknown = self.columns.unknown
        if unknown is None:
            return f"fill them in with a category, or {drop}"
        return (
            f"what is missing is not unknown: fill it in with {unknown!r} first if it is to count "
            f"as that, or {drop}"
        )


def matched(
    model: Any, data: Any, variables: Iterable[Any] | None = None, what: str = "`data`"
) -> dict[Any, ColumnReader]:
    """Return which columns of a table feed which containers of a model; read no rows.

    Parameters
    ----------
    model : pymc.Model
        Whose containers are fed.
    data : frame, dataset, mapping of str to array_like, or Source
        What has the columns: in any order, and others besides.
    variables : iterable of TensorSharedVariable, optional
        The containers; by default all of the model that were built from named columns.
    what : str, default "`data`"
        The argument that the data came from, as the subject of errors.

    Returns
    -------
    dict of TensorSharedVariable to ColumnReader
        The columns of all readers are of one source.

    Raises
    ------
    TypeError
        If the data have no named columns, or a column is of another kind than the container's:
        text for numbers, dates for none.
    ValueError
        If columns are lacking, all of which are listed, if there are no rows, or if one of
        `variables` has no columns.
    """
    containers = [v for v in model.root.data_vars if columns_of(v) is not None]
    if variables is not None:
        chosen = list(variables)
        for variable in chosen:
            if variable not in containers:
                raise ValueError(
                    "`variables` must be containers of the model that were built from named "
                    f"columns, got {variable.name!r}.\nHint: leave it out, or build it with "
                    "`columns=`."
                )
        containers = [variable for variable in containers if variable in chosen]
    table = table_of(data, what)
    if not containers:
        return {}
    columns = {variable: variable.tag.columns for variable in containers}
    refuse_lacking(table, {variable.name: columns[variable].names for variable in containers})
    names = [name for found in columns.values() for name in found.names]
    opened = opened_columns(table, names, what)
    return readers(
        opened,
        {variable: (variable.name, columns[variable], variable.type.dtype) for variable in columns},
    )


def table_of(data: Any, what: str) -> Named:
    """Return the named columns of data, or refuse what has none."""
    table = named(data)
    if table is None:
        raise TypeError(
            f"{what} must have named columns, got a {type(data).__name__}.\n"
            "Hint: pass a frame, a dict of arrays such as {'distance': values}, or a source."
        )
    return table


def opened_columns(table: Named, names: Sequence[str], what: str) -> Opened:
    """Return a source of columns that a table has, or refuse one without rows."""
    try:
        return table.open(names)
    except EmptySourceError as error:
        raise ValueError(
            f"{what} must have at least one row, got a {table.words} without any.\n"
            "Hint: check the filter or the path that left nothing."
        ) from error


def refuse_lacking(table: Named, wanted: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a table that has not all columns of some containers."""
    lacking: dict[str, list[str]] = {}
    for container, names in wanted.items():
        for name in names:
            if name not in table.names:
                lacking.setdefault(name, []).append(repr(container))
    if not lacking:
        return
    # A column 0 is not the column "0".
    check_names([name for name in table.names if str(name) in lacking])
    used = {name for names in wanted.values() for name in names}
    spare = [name for name in table.names if isinstance(name, str) and name not in used]
    close = [match for name in lacking for match in get_close_matches(name, spare, n=1)]
    meant = f"did you mean {listed(close)}? " if close else ""
    found = ", ".join(f"{name!r} (for {', '.join(of)})" for name, of in lacking.items())
    raise ValueError(
        "The data must have the columns that containers were built from, got a "
        f"{table.words} without {found}.\n"
        f"Hint: {meant}The columns are {listed(table.names)}."
    )


def refuse_beyond(what: str, codes: NDArray[Any], categories: tuple[str, ...]) -> None:
    """Refuse codes that stand for no category.

    Parameters
    ----------
    what : str
        Where they came from, as the subject of the error.
    codes : ndarray of integers, shape (rows,)
    categories : tuple of str
        What codes stand for, from 0 on.
    """
    rows = np.flatnonzero((codes < 0) | (codes >= len(categories)))
    if len(rows):
        raise ValueError(
            f"{what} must hold codes from 0 to {len(categories) - 1}, of {listed(categories)}, got "
            f"{codes[rows[0]]} in row {rows[0]}.\n"
            "Hint: pass the categories themselves, which are coded for you."
        )


def readers[Key](
    opened: Opened, wanted: Mapping[Key, tuple[str, Columns, Any]]
) -> dict[Key, ColumnReader]:
    """Return what reads the columns of some containers from one source.

    Parameters
    ----------
    opened : Opened
        A source that has the columns.
    wanted : mapping of Key to (str, Columns, dtype or None)
        The name of each container, its columns, and what it holds: by default what they are.
    """
    fields: dict[str, tuple[str, Conversion | None]] = {}
    places: dict[Key, list[str]] = {}
    for key, (container, columns, _) in wanted.items():
        places[key] = []
        for name in columns.names:
            field = opened.source.fields[name]
            _check_kind(field, container, columns)
            made = name, _conversion(field, columns)
            # Two containers may have tables of their own for the same column.
            place = name if fields.get(name, made) == made else f"{name} ({container})"
            fields[place] = made
            places[key].append(place)
    plain = all(conversion is None for _, conversion in fields.values())
    source = opened.source if plain else Recoded(opened.source, fields)
    return {
        key: ColumnReader(
            source[places[key] if columns.is_matrix else places[key][0]],
            container,
            columns,
            np.dtype(dtype or _natural(opened, columns)),
        )
        for key, (container, columns, dtype) in wanted.items()
    }


def _conversion(field: Field, columns: Columns) -> Conversion | None:
    if columns.categories is not None and field.categories != columns.categories:
        return Codes(columns.categories, str(columns.categories_dim), columns.unknown)
    return Days() if field.name in columns.dates else None


def _natural(opened: Opened, columns: Columns) -> np.dtype[Any]:
    if columns.categories is not None:
        return np.dtype(np.int32)
    dtypes = [
        np.dtype(np.float64) if name in columns.dates else opened.dtypes[name]
        for name in columns.names
    ]
    return natural_dtype(dtypes)


def _check_kind(field: Field, container: str, columns: Columns) -> None:
    """Refuse a column that is neither what the container was built from nor exact for it."""
    got = kind_of(field)
    wanted = "numbers or booleans"
    if columns.categories is not None:
        wanted = "text or categories"
    elif field.name in columns.dates:
        wanted = "dates"
    if got != wanted:
        hint = {
            "dates": "convert it, such as with pandas.to_datetime",
            "text or categories": as_text_hint(field.name),
        }.get(wanted, "convert it to numbers first; text needs `categories=` when it is built")
        raise TypeError(
            f"The column {field.name!r} of data container {container!r} must hold {wanted}, got "
            f"{got}.\nHint: {hint}."
        )


def kind_of(field: Field) -> str:
    """Say in words what a field holds."""
    if field.categories is not None or field.dtype == object:
        return "text or categories"
    if field.dtype.kind == "M":
        return "dates"
    return "numbers or booleans" if field.dtype.kind in "biuf" else str(field.dtype)
