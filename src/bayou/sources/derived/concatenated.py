"""Several sources as one, such as the files of a table: rows are numbered through all of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from bayou.sources.base.arrow_types import exact_dtype
from bayou.sources.base.field import choose_fields
from bayou.sources.base.row_numbers import check_rows
from bayou.sources.base.source import Source
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table


class ChainSource(Source):
    """The rows of several sources, one source after the other.

    Parameters
    ----------
    parts : mapping of str to Source
        The sources, each with a known number of rows, by names for errors, such as their paths.
        Fields are matched by name. Numbers, dates and durations of several dtypes have the dtype
        that holds all values of all of them.

    Raises
    ------
    ValueError
        If a part has other fields than the first, a field of another shape, or one of a dtype that
        has none in common with the others.
    """

    def __init__(self, parts: Mapping[str, Source]) -> None:
        self._parts = tuple(parts.values())
        first = next(iter(parts))
        self._fields = dict(self._parts[0].fields)
        for name, part in parts.items():
            self._fields = _common_fields(self._fields, part.fields, first, name)
        self._stops = np.array(list(accumulate(part.num_rows or 0 for part in self._parts)))
        # The part and the index in it of each block.
        self._places = [(part, block) for part in self._parts for block in range(len(part.blocks))]

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in the order of the first part."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The number of rows of each block of each part."""
        return [size for part in self._parts for size in part.blocks]

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the number of nulls of each field, None if a part does not know it."""
        counts = [part.null_counts() for part in self._parts]
        by_field = {name: [count[name] for count in counts] for name in self._fields}
        return {
            name: None if None in numbers else sum(filter(None, numbers))
            for name, numbers in by_field.items()
        }

    @property
    def random_access(self) -> bool:
        """Whether all parts have random access."""
        return all(part.random_access for part in self._parts)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block of the part that has it."""
        part, number = self._places[block]
        for table in part.read(number, names):
            yield {
                name: values.astype(self._fields[name].dtype, copy=False)
                for name, values in table.items()
            }

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return rows by their numbers, with one call of ``take`` for each part that has some."""
        check_rows(rows, int(self._stops[-1]))
        taken = {
            field.name: np.empty((len(rows), *field.shape), dtype=field.dtype)
            for field in choose_fields(self._fields, names)
        }
        # "right": the row whose number is the stop of a part is the first of the next part.
        owner = np.searchsorted(self._stops, rows, side="right")
        for number in np.unique(owner):
            positions = np.flatnonzero(owner == number)
            start = self._stops[number - 1] if number else 0
            for name, values in self._parts[number].take(rows[positions] - start, names).items():
                taken[name][positions] = values
        return taken


def _common_fields(
    expected: Mapping[str, Field], fields: Mapping[str, Field], first: str, name: str
) -> dict[str, Field]:
    """Return the fields that hold the values of both, or raise if there are none."""
    if fields.keys() != expected.keys():
        raise ValueError(
            f"All parts of a source must have the fields of the first ({first}), "
            f"{listed(expected)}, got {listed(fields)} in {name}.\n"
            "Hint: choose the fields that all have with `columns`."
        )
    common = {}
    for other in expected.values():
        field = fields[other.name]
        dtype = _common_dtype(field.dtype, other.dtype)
        if dtype is not None and replace(field, dtype=dtype) == replace(other, dtype=dtype):
            common[other.name] = replace(other, dtype=dtype)
        else:
            raise ValueError(
                f"All parts of a source must have fields like the first ({first}), got "
                f"`{field.name}` of {field.dtype} and shape {field.shape} a row in {name}, and of "
                f"{other.dtype} and shape {other.shape} a row before.\n"
                "Hint: write the file again with the dtype and shape of the others."
            )
    return common


def _common_dtype(one: np.dtype, other: np.dtype) -> np.dtype | None:
    if one.kind == other.kind and one.kind in "mM":
        return np.result_type(one, other)
    return exact_dtype(one, other)
