"""A source whose values tell their row, and which does what a test asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from bayou.sources import Field, Source, Table

FIELDS = {
    field.name: field
    for field in (
        Field("row", np.dtype(np.int64)),
        Field("x", np.dtype(np.float64)),
        Field("z", np.dtype(np.float64)),
        Field("pixels", np.dtype(np.float32), (2, 3)),
        Field("flag", np.dtype(np.bool_)),
        Field("day", np.dtype("datetime64[D]")),
        Field("kind", np.dtype(np.int32), (), ("even", "odd")),
        Field("name", np.dtype(object)),
    )
}


def values_of(name: str, rows: np.ndarray) -> np.ndarray:
    """Return the values that a field has in some rows."""
    values: dict[str, Any] = {
        "row": rows,
        "x": rows / 2,
        "z": -rows.astype(float),
        "pixels": rows[..., None, None] + np.arange(6).reshape(2, 3) / 8,
        "flag": rows % 3 == 0,
        "day": rows.astype("timedelta64[D]") + np.datetime64("2020-01-01"),
        "kind": rows % 2,
        "name": rows.astype(str),
    }
    return np.asarray(values[name]).astype(FIELDS[name].dtype)


class RowSource(Source):
    """Rows in blocks, which are yielded in pieces.

    `piece` is the length of a piece, `known` whether blocks tell their size; reading row `fails_at`
    raises; `found` are the sizes that blocks turn out to have.
    """

    values_of = staticmethod(values_of)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        piece: int = 7,
        known: bool = True,
        access: bool = False,
        fails_at: int | None = None,
        found: Sequence[int] | None = None,
    ) -> None:
        self.sizes = sizes
        self.piece = piece
        self.known = known
        self.access = access
        self.fails_at = fails_at
        self.found = sizes if found is None else found
        self.blocks_read: list[int] = []

    @property
    def fields(self) -> dict[str, Field]:
        return FIELDS

    @property
    def blocks(self) -> Sequence[int | None]:
        return self.sizes if self.known else [None] * len(self.sizes)

    @property
    def random_access(self) -> bool:
        return self.access

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        self.blocks_read.append(block)
        start = sum(self.sizes[:block])
        for first in range(0, self.found[block], self.piece):
            count = min(self.piece, self.found[block] - first)
            yield self.table(start + first + np.arange(count), names)

    def take(self, rows: np.ndarray, names: Sequence[str]) -> Table:
        assert self.access
        return self.table(rows, names)

    def table(self, rows: np.ndarray, names: Sequence[str]) -> Table:
        if self.fails_at is not None and self.fails_at in rows:
            raise OSError(f"part-3.parquet: no row {self.fails_at}")
        return {name: values_of(name, rows) for name in names}


@pytest.fixture(scope="session")
def row_source() -> type[RowSource]:
    return RowSource
