"""Rows on disk whose codes are levels, but for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bayou as by


def rows(folder: Path, wrong: int) -> by.Source:
    """Return a source of 1,000 rows, whose row 990 has the code `wrong` among those of 0, 1, 2."""
    codes = np.arange(1000) % 3
    codes[990] = wrong
    table = pa.table({"level": codes, "y": np.zeros(1000)})
    pq.write_table(table, folder / "rows.parquet", row_group_size=100)
    return by.scan(folder / "rows.parquet")
