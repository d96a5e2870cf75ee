"""Sources one after the other as one: the shards of a table, whose rows are numbered on."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from bayou.sources.base.field import choose_fields
from bayou.sources.base.source import Source, check_rows
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table


class ChainSource(Source):
    """The rows of several sources of a known number of rows.

    Parameters
    ----------
    parts : mapping of str to Source
        Each by the name that an error is to give it, such as its path. Fields are matched by name.

    Raises
    ------
    ValueError
        If a part has other fields than the first, or fields of another dtype or shape.
    """

    def __init__(self, parts: Mapping[str, Source]) -> None:
        self._parts = tuple(parts.values())
        self._fields = self._parts[0].fields
        first = next(iter(parts))
        for name, part in parts.items():
            _check_alike(self._fields, part.fields, first, name)
        self._stops = np.array(list(accumulate(part.num_rows or 0 for part in self._parts)))
        self._places = [
            (part, block) for part in self._parts for block, _ in enumerate(part.blocks)
        ]

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in the order of the first part."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int | None]:
        """The blocks of each part in turn."""
        return [size for part in self._parts for size in part.blocks]

    def null_counts(self) -> Mapping[str, int | None]:
        """Return the nulls of all parts together, where all of them know theirs."""
        counts = [part.null_counts() for part in self._parts]
        totals = {name: [count[name] for count in counts] for name in self._fields}
        return {
            name: None if None in found else sum(filter(None, found))
            for name, found in totals.items()
        }

    @property
    def random_access(self) -> bool:
        """Whether all parts have it."""
        return all(part.random_access for part in self._parts)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block of the part that it is of."""
        part, own = self._places[block]
        yield from part.read(own, names)

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return some rows, those of a part together."""
        check_rows(rows, int(self._stops[-1]))
        taken = {
            field.name: np.empty((len(rows), *field.shape), dtype=field.dtype)
            for field in choose_fields(self._fields, names)
        }
        owner = np.searchsorted(self._stops, rows, side="right")
        for number in np.unique(owner):
            here = np.flatnonzero(owner == number)
            start = self._stops[number - 1] if number else 0
            for name, values in self._parts[number].take(rows[here] - start, names).items():
                taken[name][here] = values
        return taken


def _check_alike(
    expected: Mapping[str, Field], fields: Mapping[str, Field], first: str, name: str
) -> None:
    if fields.keys() != expected.keys():
        raise ValueError(
            f"All parts of a source must have the fields of the first ({first}), "
            f"{listed(expected)}, got {listed(fields)} in {name}.\n"
            "Hint: choose the fields that all have with `columns`."
        )
    for field in fields.values():
        if field != expected[field.name]:
            other = expected[field.name]
            raise ValueError(
                f"All parts of a source must have fields like the first ({first}), got "
                f"`{field.name}` of {field.dtype} and shape {field.shape} a row in {name}, and of "
                f"{other.dtype} and shape {other.shape} a row before.\n"
                "Hint: write the file anew with the dtype and shape of the others."
            )
