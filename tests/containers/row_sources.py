"""The same rows as every kind of source."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bayou as by

NUM_ROWS = 1000
ROW = np.arange(NUM_ROWS)


class Blocks:
    """A user's own class, without a base, that is read block by block."""

    fields: Mapping[str, by.Field] = {
        "row": by.Field("row", np.dtype(np.int64)),
        "half": by.Field("half", np.dtype(np.float32)),
    }
    blocks: Sequence[int] = (300, 300, 300, 100)

    def read(self, block: int, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        rows = ROW[300 * block : 300 * block + self.blocks[block]]
        values = {"row": rows, "half": (rows / 2).astype(np.float32)}
        yield {name: values[name] for name in names}


def parquet(folder: Path) -> by.Source:
    table = pa.table({"row": ROW, "half": pa.array(ROW / 2, pa.float32())})
    pq.write_table(table, folder / "rows.parquet", row_group_size=170)
    return by.scan(folder / "rows.parquet")


SOURCES = {
    "parquet": parquet,
    "arrays": lambda folder: by.source({"row": ROW, "half": (ROW / 2).astype(np.float32)}),
    "own class": lambda folder: by.source(Blocks()),
}
