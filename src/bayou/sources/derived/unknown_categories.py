"""Text as codes of a table of categories; unknown ones get the code of one of them, or an error.

Text costs a look-up in Arrow's hash table for each value; categories, one for each category.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bayou.sources.base.field import Field, stored_kind
from bayou.sources.base.text_codes import (
    MISSING_CODE,
    as_text_hint,
    as_texts,
    distinct_texts,
    look_up,
)
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table

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
                f"{stored_kind(field)}.\n"
                f"Hint: {as_text_hint(field.name)}."
            )
        return Field(name, np.dtype(np.int32), (), self.table)

    def convert(self, field: Field, values: NDArray[Any]) -> NDArray[np.int32]:
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

    def unknown_error(self, field: Field, tables: Iterable[Table]) -> ValueError:
        """Return the error that lists all texts outside the table.

        Parameters
        ----------
        field : Field
            The field of the texts.
        tables : iterable of dict of str to ndarray
            All of its rows.
        """
        unknown: set[str] = set()
        for table in tables:
            values = table[field.name]
            outside = values[self.convert(field, values) == UNKNOWN_CODE]
            unknown.update(distinct_texts(field, outside))
        return ValueError(
            f"`{field.name}` must hold only categories of the dim {self.dim!r}, "
            f"{listed(self.table)}, got {listed(sorted(unknown))}.\n"
            "Hint: leave out such rows, or build the model with all categories, "
            f"pm.Model(coords={{{self.dim!r}: [...]}}), or the container with unknown='other', "
            "which assigns all others to the category 'other': docs/how_to/categories.md."
        )
