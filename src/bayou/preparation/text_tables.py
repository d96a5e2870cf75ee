"""Text as codes, in one pass over rows whose texts are not known before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from bayou.preparation.distinct_rows import RepetitionError
from bayou.sources.base.field import Field
from bayou.sources.base.text_codes import MISSING_CODE, as_texts, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table

# Bytes that a text takes beside its characters, as a key of a dictionary of Python.
TEXT_BYTES = 150


class TextTables:
    """The texts of fields so far, each with its code.

    Codes are given in the order in which texts come, since that is all that is known of them in one
    pass. :meth:`categories` brings them into alphabetical order.

    Parameters
    ----------
    fields : sequence of Field
        Any fields. Those of text are converted.
    memory : int
        The largest number of bytes that the texts may take.
    """

    def __init__(self, fields: Sequence[Field], memory: int) -> None:
        self._codes: dict[str, dict[str, int]] = {
            field.name: {} for field in fields if is_text_field(field)
        }
        self._memory, self._num_bytes = memory, 0

    def coded_fields(self, fields: Sequence[Field]) -> list[Field]:
        """Return the fields, with those of codes in the place of those of text."""
        return [
            Field(field.name, np.dtype(np.int32)) if field.name in self._codes else field
            for field in fields
        ]

    def encode(self, tables: Iterator[Table]) -> Iterator[Table]:
        """Yield tables with codes in the place of text, -1 where it is missing."""
        for table in tables:
            yield table | {name: self._encoded(name, table[name]) for name in self._codes}

    def decode(self, fields: Sequence[Field], values: Table) -> tuple[tuple[Field, ...], Table]:
        """Return fields and values with categories in alphabetical order in the place of text."""
        decoded = {
            field.name: self._categories(field.name, values[field.name])
            if field.name in self._codes
            else (field, values[field.name])
            for field in fields
        }
        new_fields = tuple(field for field, _ in decoded.values())
        return new_fields, {name: column for name, (_, column) in decoded.items()}

    def _categories(self, name: str, codes: NDArray[np.int32]) -> tuple[Field, NDArray[np.int32]]:
        known = self._codes[name]
        table = tuple(sorted(known))
        new = np.full(len(known) + 1, MISSING_CODE, dtype=np.int32)
        new[[known[text] for text in table]] = np.arange(len(table))
        # The code of a missing text, -1, takes the last entry, which is -1 too.
        return Field(name, np.dtype(np.int32), (), table), new[codes]

    def _encoded(self, name: str, values: NDArray[np.generic]) -> NDArray[np.int32]:
        texts, known = as_texts(name, values), self._codes[name]
        here = pc.unique(texts).drop_null()
        distinct: list[str] = here.to_pylist()
        for text in distinct:
            if text not in known:
                known[text] = len(known)
                self._num_bytes += TEXT_BYTES + len(text)
        if self._num_bytes > self._memory:
            raise RepetitionError(
                f"`memory` must hold the distinct texts, got {self._memory:,} bytes for "
                f"{len(known):,} of `{name}`.\n"
                "Hint: leave out columns that name single rows, or pass a larger memory."
            )
        codes = np.array([*(known[text] for text in distinct), MISSING_CODE], dtype=np.int32)
        return codes[look_up(texts, here, MISSING_CODE)]


def is_text_field(field: Field) -> bool:
    """Return whether a field is one of text."""
    return field.dtype == object and field.stored_type is None and not field.shape
