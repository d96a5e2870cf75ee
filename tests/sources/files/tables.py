"""Tables of Arrow and the files that the tests write of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

NUMBERS = pa.table({"x": np.arange(10) / 4, "y": np.arange(10)})


def write(path: Path, table: pa.Table, rows: int = 4) -> Path:
    """Write a table in the format that the name tells, so many rows a block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        compression = "zstd" if path.suffix == ".feather" else "uncompressed"
        pyarrow.feather.write_feather(table, path, chunksize=rows, compression=compression)
    return path


def values(source: Any, *names: str) -> dict[str, np.ndarray]:
    """Read all blocks."""
    names = names or tuple(source.fields)
    tables = [table for block in range(len(source.blocks)) for table in source.read(block, names)]
    return {name: np.concatenate([table[name] for table in tables]) for name in names}
