"""Numbered rows, whose values tell their number, and shuffles of them without a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayou.preparation.shuffle import shuffle
from bayou.sources import Field, Source, Table
from bayou.sources.files.store import Store


class Rows(Source):
    """Numbered rows in blocks of any size, read in pieces; ``fault`` is told each row before it."""

    def __init__(
        self,
        sizes: Sequence[int],
        piece: int = 7,
        *,
        known: bool = True,
        offset: int = 0,
        fault: Callable[[int], None] = lambda row: None,
    ) -> None:
        self.sizes = sizes
        self.piece = piece
        self.known = known
        self.offset = offset
        self.fault = fault
        self.read_rows: list[int] = []

    @property
    def fields(self) -> dict[str, Field]:
        return {
            "number": Field("number", np.dtype(np.int32)),
            "pair": Field("pair", np.dtype(float), (2,)),
            "day": Field("day", np.dtype("datetime64[D]")),
            "kind": Field("kind", np.dtype(np.int8), (), ("a", "b", "c")),
        }

    @property
    def blocks(self) -> list[int | None]:
        return [size if self.known else None for size in self.sizes]

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        first = sum(self.sizes[:block])
        for start in range(first, first + self.sizes[block], self.piece):
            rows = np.arange(start, min(start + self.piece, first + self.sizes[block]))
            for row in rows:
                self.fault(int(row))
            self.read_rows.extend(rows.tolist())
            yield self.table(rows, names)

    def table(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        rows = rows + self.offset
        table = {
            "number": rows.astype(np.int32),
            "pair": np.stack([rows / 2, -rows.astype(float)], axis=1),
            "day": rows.astype("datetime64[D]"),
            "kind": (rows % 3).astype(np.int8),
        }
        return {name: table[name] for name in names}


class Changed(Rows):
    """Rows whose fields say other than their tables hold."""

    def __init__(self, **fields: Field) -> None:
        super().__init__([30, 30])
        self.changed = fields

    @property
    def fields(self) -> dict[str, Field]:
        return super().fields | self.changed


class Halt(BaseException):
    """What a test stops a shuffle with."""


def run(source: Source, path: Path, **options: Any) -> Store:
    return shuffle(source, path, **{"random_seed": 1, "progressbar": False} | options)


def order_of(store: Store) -> list[int]:
    """The numbers of the rows in the order of a store whose rows are whole."""
    names = list(store.fields)
    tables = [table for block in range(len(store.blocks)) for table in store.read(block, names)]
    found = {name: np.concatenate([table[name] for table in tables]) for name in names}
    rows = found["number"].astype(np.int64)
    for name, values in Rows([1]).table(rows, names).items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    return rows.tolist()
