from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayou as by
from bayou.sources.files.store import open_store
from tests.cli.commands import refused, run


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    frame = pd.DataFrame({"day": np.arange(5000), "late": np.arange(5000) * 7919 % 5000 < 100})
    frame["name"] = [f"row {row}" for row in range(5000)]
    frame.to_parquet(path, row_group_size=100)
    return path


@pytest.fixture
def with_nulls(tmp_path: Path) -> Path:
    path = tmp_path / "nulls.parquet"
    pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64")}).to_parquet(path)
    return path


def test_the_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"{by.__version__}\n"


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "inspect" in result.stdout
    assert "shuffle" in result.stdout


def test_inspect_prints_a_table(rows: Path) -> None:
    result = run("inspect", rows)
    assert result.exit_code == 0
    assert "5,000 rows" in result.stdout
    assert "50 blocks of 100 to 100 rows" in result.stdout
    assert "The rows look sorted by `day` (rising," in result.stdout
    assert "text" in result.stdout


def test_inspect_keeps_columns(rows: Path) -> None:
    result = run("inspect", rows, "--columns", "late,name", "--format", "parquet")
    assert result.exit_code == 0
    assert "day" not in result.stdout
    assert "The rows show no order." in result.stdout


def test_shuffle_writes_a_store(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--random-seed", 3, "--memory", "64 KiB", "--columns", "day", "--columns", "late"]
    result = run("shuffle", rows, out, *options)
    assert result.exit_code == 0
    assert "5,000 rows, fields [day: int64, late: bool]" in result.stdout.replace("\n", "")
    store = open_store(out, verify=True)
    days = store.take(np.arange(5000), ["day"])["day"]
    np.testing.assert_array_equal(np.sort(days), np.arange(5000))
    assert store.manifest["made"]["random_seed"] == 3
    assert store.manifest["made"]["memory"] == 2**16
    assert run("inspect", out).exit_code == 0


def test_shuffle_drops_nulls_where_asked(with_nulls: Path, tmp_path: Path) -> None:
    assert "`x` must have no nulls, got one in row 1" in refused(
        "shuffle", with_nulls, tmp_path / "out"
    )
    assert run("shuffle", with_nulls, tmp_path / "out", "--drop-nulls").exit_code == 0
    assert open_store(tmp_path / "out").num_rows == 2
    assert "dropped for their nulls: 1 row" in run("inspect", with_nulls, "--drop-nulls").stdout


def test_errors_are_their_message_alone(rows: Path, tmp_path: Path) -> None:
    assert "Hint: " in refused("inspect", tmp_path / "none.parquet")
    assert "`format` must be one of" in refused("inspect", rows, "--format", "doc")
    rows.with_suffix(".dat").write_text("1 2", encoding="utf-8")
    assert "else pass --format parquet" in refused("inspect", rows.with_suffix(".dat"))
    rows.with_suffix(".dat").unlink()
    assert refused("inspect", "").startswith("`DATA` must name files")
    assert "must have fields of numbers" in refused("shuffle", rows, tmp_path / "out")
    assert refused("shuffle", rows, tmp_path / "out", "--memory", "much").startswith(
        "`memory` must"
    )
    assert refused("shuffle", rows, tmp_path / "out", "--seed", -1).startswith("`random_seed` must")
    assert refused("shuffle", rows, tmp_path).startswith("`out` must not exist yet, got")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.parquet"]


def test_unknown_options_and_commands_are_refused(rows: Path) -> None:
    assert "No such option" in refused("inspect", rows, "--colums", "x")
    assert "No such command" in refused("inspects", rows)


def test_compress_writes_the_distinct_rows(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "cells.parquet"
    result = run("compress", rows, out, "--columns", "late", "--count", "n")
    assert result.exit_code == 0
    assert "5,000 rows as 2 distinct, each counted" in result.stdout
    assert pd.read_parquet(out)["n"].sum() == 5000
    again = tmp_path / "again.parquet"
    result = run("compress", out, again, "--columns", "late", "--weights", "n")
    assert result.exit_code == 0
    assert pd.read_parquet(again)["count"].sum() == 5000
    assert "must not exist" in refused("compress", rows, out)
