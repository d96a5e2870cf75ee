"""The table of sources: all of them have the same rows, and one suite runs over each.

A new kind of source is a new row: a function that, given a folder of its own, returns the source.
Its fields are some of `EXPECTED`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
import xarray as xr
import zarr

import bayou.sources as by
from bayou.sources.derived.recoded import Recoded
from bayou.sources.derived.unknown_categories import Codes

NUM_ROWS = 1000
RANDOM = np.random.default_rng(8927)
ROWS = {
    "x": RANDOM.normal(size=NUM_ROWS),
    "count": np.arange(NUM_ROWS)[::-1].copy(),
}
MORE = {
    "small": RANDOM.normal(size=NUM_ROWS).astype("float32"),
    "late": RANDOM.integers(0, 2, size=NUM_ROWS).astype(bool),
    "day": np.datetime64("2013-01-01", "us") + np.arange(NUM_ROWS) * np.timedelta64(7, "h"),
}
VECTOR = {"vector": RANDOM.normal(size=(NUM_ROWS, 3))}
CODES = RANDOM.integers(0, 3, size=NUM_ROWS).astype("int32")
CATEGORIES = ("AA", "DL", "UA")
WORDS = np.array(CATEGORIES, dtype=object)[CODES]


@dataclass(frozen=True)
class Implementation:
    """A kind of source, made of the rows above or some of their fields."""

    name: str
    make: Callable[[Path], by.Source]
    random_access: bool = False
    pickles: bool = True
    num_rows: int | None = NUM_ROWS


EXPECTED = ROWS | MORE | VECTOR | {"carrier": CODES, "whole": ROWS["count"], "text": WORDS}


def rows(*parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values for part in (ROWS, *parts) for name, values in part.items()}


def structured() -> np.ndarray:
    fields = rows(MORE, VECTOR)
    kinds = [(name, array.dtype, array.shape[1:]) for name, array in fields.items()]
    array = np.empty(NUM_ROWS, dtype=kinds)
    for name, values in fields.items():
        array[name] = values
    return array


def pandas() -> pd.DataFrame:
    frame = pd.DataFrame(rows(MORE))
    frame["carrier"] = pd.Categorical.from_codes(CODES, CATEGORIES)
    frame["whole"] = frame["count"].astype("Int64")
    frame["text"] = WORDS
    return frame


def polars() -> pl.DataFrame:
    carrier = pl.Series(WORDS.tolist(), dtype=pl.Enum(list(CATEGORIES)))
    vector = pl.Series(VECTOR["vector"], dtype=pl.Array(pl.Float64, 3))
    return pl.DataFrame(rows(MORE)).with_columns(
        carrier=carrier, vector=vector, text=pl.Series(WORDS.tolist())
    )


def arrow() -> pa.Table:
    table = pa.table(rows(MORE))
    carrier = pa.DictionaryArray.from_arrays(CODES.astype("int8"), list(CATEGORIES))
    vector = pa.FixedSizeListArray.from_arrays(VECTOR["vector"].ravel(), 3)
    table = table.append_column("carrier", carrier).append_column("vector", vector)
    # Chunks that begin within the arrays, as a filter or a slice leaves them.
    return pa.concat_tables([table.slice(0, 300), table.slice(300)])


def dataset() -> xr.Dataset:
    return xr.Dataset(
        {name: ("row", values) for name, values in rows(MORE).items()}
        | {"vector": (("row", "part"), VECTOR["vector"])}
    )


def zarr_group(folder: Path) -> Path:
    group = zarr.create_group(str(folder / "rows.zarr"))
    for name, values in rows(VECTOR).items():
        group.create_array(name, data=values, chunks=(300, *values.shape[1:]))
    return folder / "rows.zarr"


def npz(folder: Path, save: Callable[..., None]) -> by.Source:
    save(folder / "rows.npz", **rows(MORE, VECTOR))
    return by.scan(folder / "rows.npz")


def npy(folder: Path) -> by.Source:
    np.save(folder / "rows.npy", structured())
    return by.scan(folder / "rows.npy")


def npy_shards(folder: Path) -> by.Source:
    for shard, part in enumerate(np.array_split(structured(), [100, 450])):
        np.save(folder / f"{shard}.npy", part)
    return by.scan(folder / "*.npy")


def relation(folder: Path) -> by.Source:
    connection = duckdb.connect()
    connection.register("held", arrow())
    connection.execute(f"CREATE TYPE carriers AS ENUM {CATEGORIES}")
    query = "SELECT * REPLACE (carrier::carriers AS carrier) FROM held ORDER BY count DESC"
    return by.source(connection.sql(query))


def sqlite(folder: Path) -> by.Source:
    path = folder / "rows.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE held (x REAL, count INTEGER, text TEXT)")
        records = zip(ROWS["x"].tolist(), ROWS["count"].tolist(), WORDS, strict=True)
        connection.executemany("INSERT INTO held VALUES (?, ?, ?)", records)
    connection.close()
    connect = partial(adbc_driver_sqlite.dbapi.connect, str(path))
    return by.sql("SELECT * FROM held ORDER BY count DESC;", connect)


def connect_duckdb(path: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path, read_only=True)


def duckdb_query(folder: Path) -> by.Source:
    path = str(folder / "rows.duckdb")
    with duckdb.connect(path) as connection:
        connection.register("arrow", arrow())
        connection.execute(f"CREATE TYPE carriers AS ENUM {CATEGORIES}")
        connection.execute(
            "CREATE TABLE held AS SELECT x, count, late, day, carrier::carriers AS carrier "
            "FROM arrow"
        )
    return by.sql("SELECT * FROM held ORDER BY count DESC", partial(connect_duckdb, path))


def yield_rows() -> Iterator[dict[str, Any]]:
    for row in range(NUM_ROWS):
        yield {
            "x": float(ROWS["x"][row]),
            "count": int(ROWS["count"][row]),
            "vector": VECTOR["vector"][row],
        }


def yield_blocks() -> Iterator[dict[str, Any]]:
    for start in range(0, NUM_ROWS, 300):
        yield {name: values[start : start + 300] for name, values in rows(MORE, VECTOR).items()}


class Own:
    """What a user writes: no more than the three members."""

    def __init__(self) -> None:
        fields = [by.Field("x", np.dtype(float)), by.Field("count", np.dtype("int64"))]
        self.fields = {field.name: field for field in fields}
        self.blocks = (400, None)

    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        for start in (0, 200) if block == 0 else (400, 800):
            yield {name: ROWS[name][start : start + (200 if block == 0 else 400)] for name in names}


def parquet(folder: Path) -> by.Source:
    pyarrow.parquet.write_table(arrow(), folder / "rows.parquet", row_group_size=300)
    return by.scan(folder / "rows.parquet")


def parquet_shards(folder: Path) -> by.Source:
    shards = {"late=0/a": arrow().slice(0, 450), "late=0/b": arrow().slice(450)}
    for name, table in shards.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        columns = ["x", "count", "vector", "carrier"][:: -1 if name == "late=0/b" else 1]
        pyarrow.parquet.write_table(table.select(columns), path, row_group_size=200)
    return by.scan(folder, columns=["x", "count", "vector", "carrier"])


def feather(folder: Path, compression: str) -> by.Source:
    path = folder / "rows.arrow"
    pyarrow.feather.write_feather(arrow(), path, compression=compression, chunksize=100)
    return by.scan(path)


def csv(folder: Path) -> by.Source:
    table = pa.table(ROWS | {"late": MORE["late"], "day": MORE["day"], "text": WORDS})
    pyarrow.csv.write_csv(table, folder / "rows.csv")
    return by.scan(folder / "rows.csv")


def netcdf(folder: Path) -> by.Source:
    dataset()[["x", "vector"]].to_netcdf(folder / "rows.nc", engine="scipy")
    return by.source(xr.open_dataset(folder / "rows.nc", engine="scipy"))


def lazy_zarr(folder: Path) -> by.Source:
    chunks = {name: {"chunks": (300,)} for name in rows(MORE)}
    dataset()[list(chunks)].to_zarr(folder / "rows.zarr", encoding=chunks, consolidated=False)
    return by.source(xr.open_zarr(folder / "rows.zarr", chunks=None, consolidated=False))


def recoded(_: Path) -> by.Source:
    """Text as codes, and other fields as they are."""
    wanted = {name: (name, None) for name in ROWS}
    codes = {"carrier": ("text", Codes(CATEGORIES, "carriers"))}
    return Recoded(by.source(rows({"text": WORDS})), wanted | codes)


IMPLEMENTATIONS = [
    Implementation("dict of arrays", lambda _: by.source(rows(MORE, VECTOR)), True),
    Implementation("structured array", lambda _: by.source(structured()), True),
    Implementation("masked array", lambda _: by.source({"x": np.ma.array(ROWS["x"])}), True),
    Implementation("bytes swapped", lambda _: by.source({"x": ROWS["x"].astype(">f8")}), True),
    Implementation("npy", npy, True),
    Implementation("npy shards", npy_shards, True),
    Implementation("npz", partial(npz, save=np.savez), True),
    Implementation("npz compressed", partial(npz, save=np.savez_compressed), True),
    Implementation("pandas", lambda _: by.source(pandas()), True),
    Implementation("polars", lambda _: by.source(polars()), True),
    Implementation("polars lazy", lambda _: by.source(polars().lazy())),
    Implementation("arrow", lambda _: by.source(arrow()), True),
    Implementation("duckdb relation", relation, pickles=False),
    Implementation("xarray dataset", lambda _: by.source(dataset()), True),
    Implementation("xarray array", lambda _: by.source(dataset()["vector"]), True),
    Implementation("xarray netcdf", netcdf),
    Implementation("xarray zarr", lazy_zarr),
    Implementation("zarr path", lambda folder: by.scan(zarr_group(folder))),
    Implementation("zarr group", lambda folder: by.source(zarr.open(str(zarr_group(folder))))),
    Implementation("sqlite by adbc", sqlite),
    Implementation("duckdb query", duckdb_query),
    Implementation("rows", lambda _: by.source(yield_rows), num_rows=None),
    Implementation("blocks", lambda _: by.source(yield_blocks, num_rows=NUM_ROWS)),
    Implementation("own class", lambda _: by.source(Own()), num_rows=None),
    Implementation("parquet", parquet),
    Implementation("parquet shards", parquet_shards),
    Implementation("arrow file", partial(feather, compression="uncompressed")),
    Implementation("feather", partial(feather, compression="zstd")),
    Implementation("csv", csv),
    Implementation("recoded", recoded, True),
]


@pytest.fixture(scope="session", params=IMPLEMENTATIONS, ids=lambda row: row.name)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    return request.param


@pytest.fixture(scope="session")
def opened(implementation: Implementation, tmp_path_factory: pytest.TempPathFactory) -> by.Source:
    return implementation.make(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="session")
def expected() -> dict[str, np.ndarray]:
    return EXPECTED
