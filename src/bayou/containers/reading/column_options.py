"""The arguments of ``Data`` that say what becomes of named columns, read and checked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayou.containers.reading.columns import ColumnKind, kind_of, kind_text
from bayou.sources.base.text_codes import as_text_hint
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.containers.reading.columns import MissingPolicy
    from bayou.sources.base.field import Field

MISSING_POLICIES = ("refuse", "impute", "drop")


@dataclass(frozen=True)
class ColumnOptions:
    """The arguments of ``Data`` that say what becomes of columns.

    Attributes
    ----------
    container : str
        The name of the container, for errors.
    names : tuple of str
        The columns; empty for a container that is built from an array.
    is_matrix : bool
        Whether `columns` is a list.
    categories : str or None
        The dim of the categories.
    unknown : str or None
        The category assigned to values outside the categories.
    missing : {"refuse", "impute", "drop"}
        What is done about missing values.
    """

    container: str
    names: tuple[str, ...]
    is_matrix: bool
    categories: str | None
    unknown: str | None
    missing: MissingPolicy

    def check_fields(self, fields: Sequence[Field]) -> None:
        """Check that the columns are of kinds that the options are for.

        Raises
        ------
        TypeError
            If a column is text without `categories`, numbers with it, or of a kind that no
            container holds.
        """
        for field in fields:
            subject = f"The column {field.name!r} of data container {self.container!r}"
            is_coded = kind_of(field) is ColumnKind.CATEGORIES
            if is_coded and self.categories is None:
                hint = (
                    "give it a container of its own, with `categories`"
                    if self.is_matrix
                    else f"name the dim of its categories, such as categories={field.name + 's'!r}"
                )
                raise TypeError(
                    f"{subject} must hold numbers, booleans, dates or durations, got "
                    f"{kind_text(field)}.\n"
                    f"Hint: {hint}; the container then holds their codes."
                )
            if not is_coded and self.categories is not None:
                raise TypeError(
                    f"{subject} must hold text or categories where it has `categories`, got "
                    f"{kind_text(field)}.\n"
                    f"Hint: leave `categories` out, or {as_text_hint(field.name)}."
                )
            if kind_of(field) is ColumnKind.OTHER:
                raise TypeError(
                    f"{subject} must hold numbers, booleans, dates, durations, text or "
                    f"categories, got {kind_text(field)}.\n"
                    "Hint: convert it to numbers first, or to text; lists of one length to a "
                    "fixed-size list (a Polars Array), and structs to a column for each field."
                )


def read_options(
    container: str,
    columns: object,
    categories: str | None,
    unknown: str | None,
    missing: MissingPolicy,
) -> ColumnOptions:
    """Check the arguments of ``Data`` that say what becomes of columns, and return them.

    Raises
    ------
    TypeError
        If one is of a wrong type.
    ValueError
        If two of them contradict each other.
    """
    if missing not in MISSING_POLICIES:
        raise ValueError(
            f"`missing` must be one of {listed(MISSING_POLICIES)}, got {missing!r}.\n"
            "Hint: 'refuse' makes a missing value an error, 'impute' has PyMC draw it where the "
            "container is observed, and 'drop' leaves its row out of the model."
        )
    for option, value in {"categories": categories, "unknown": unknown}.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"`{option}` of data container {container!r} must be a string, got {value!r}.\n"
                "Hint: `categories='carriers'` names the dim of the categories, `unknown='other'` "
                "the category assigned to values outside them."
            )
    if columns is None:
        _check_unused(container, categories, unknown, missing)
        return ColumnOptions(container, (), False, None, None, missing)
    _check_combination(container, columns, categories, unknown, missing)
    names, is_matrix = _read_names(container, columns), not isinstance(columns, str)
    return ColumnOptions(container, names, is_matrix, categories, unknown, missing)


def _check_unused(container: str, categories: object, unknown: object, missing: str) -> None:
    """Check that no option is set that would have no effect without `columns`."""
    unused = {
        "categories": categories is not None,
        "unknown": unknown is not None,
        "missing": missing != "refuse",
    }
    for option, is_set in unused.items():
        if is_set:
            raise ValueError(
                f"`{option}` of data container {container!r} must come with `columns`, got none.\n"
                "Hint: pass a frame or a dict of arrays, and columns='late'."
            )


def _check_combination(
    container: str, columns: object, categories: object, unknown: object, missing: str
) -> None:
    if categories is None:
        if unknown is not None:
            raise ValueError(
                f"`unknown` of data container {container!r} must come with `categories`, got "
                f"{unknown!r} alone.\n"
                "Hint: name the dim of the categories, such as categories='carriers'."
            )
        return
    if not isinstance(columns, str):
        raise ValueError(
            f"`categories` of data container {container!r} must come with one column, got "
            f"columns={columns!r}.\n"
            "Hint: make a container of each, such as columns='carrier'; several may share a dim."
        )
    if missing == "impute":
        raise ValueError(
            f"`missing` of data container {container!r} must be 'refuse' or 'drop' with "
            "`categories`, got 'impute', which would leave NaN among the codes.\n"
            "Hint: fill the column with a category of its own, such as 'unknown', or pass "
            "missing='drop'."
        )


def _read_names(container: str, columns: object) -> tuple[str, ...]:
    """Return the names in the argument `columns`."""
    names = (columns,) if isinstance(columns, str) else columns
    if (
        not isinstance(names, list | tuple)
        or not names
        or not all(isinstance(name, str) for name in names)
    ):
        raise TypeError(
            f"`columns` of data container {container!r} must be a name or a list of names, as "
            f"text, got {columns!r}.\n"
            "Hint: columns='late' gives a vector, columns=['distance', 'hour'] a matrix."
        )
    repeated = [column for column in names if names.count(column) > 1]
    if repeated:
        raise ValueError(
            f"`columns` of data container {container!r} must name a column once, got "
            f"{repeated[0]!r} twice.\nHint: leave one of them out."
        )
    return tuple(names)
