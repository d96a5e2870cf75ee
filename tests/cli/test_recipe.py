"""Recipes: databases by URL, what is recorded of them, and options that do not go together."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bayou.cli.recipe import Recipe, RowFiles, recorded_recipe
from bayou.provenance.record import present_recipe
from tests.cli.commands import done, refused


@pytest.mark.parametrize(("scheme", "module"), [("sqlite", sqlite3), ("duckdb", duckdb)])
def test_rows_of_a_database(tmp_path: Path, scheme: str, module: Any) -> None:
    path = tmp_path / "rows.db"
    connection = module.connect(str(path))
    connection.execute("CREATE TABLE t (x DOUBLE)")
    connection.execute("INSERT INTO t VALUES (1), (2), (3)")
    connection.commit()
    connection.close()
    url = f"{scheme}:///{path}"
    shown = done("inspect", url, "--query", "SELECT x FROM t ORDER BY x", "--json")
    assert json.loads(shown)["num_rows"] == 3
    assert "`--query` must come with a database" in refused("inspect", url)
    assert "`--query` must run on" in refused("inspect", url, "--query", "SELECT z FROM t")
    assert "must be left out with a database" in refused(
        "inspect", url, "--query", "SELECT x FROM t", "--columns", "x"
    )
    missing = tmp_path / "none.db"
    assert "there is no file" in refused("inspect", f"{scheme}:///{missing}", "--query", "SELECT 1")
    assert not missing.exists()


def test_a_driver_that_is_not_installed_is_named() -> None:
    url = "postgresql://ann:secret@localhost/flights"
    shown = refused("inspect", url, "--query", "SELECT 1")
    assert "adbc_driver_postgresql, which is not installed" in shown
    assert 'pip install "adbc-driver-postgresql"' in shown


def test_a_query_of_files_is_refused(tmp_path: Path) -> None:
    assert "must come with the URL of a database" in refused(
        "inspect", tmp_path / "rows.csv", "--query", "SELECT 1"
    )


@pytest.mark.parametrize(
    ("data", "recorded"),
    [
        ("postgresql://ann:secret@host/db", "postgresql://ann@host/db"),
        ("s3://bucket/*.parquet", "s3://bucket/*.parquet"),
        ("rows/*.csv", "{}/rows/*.csv"),
        ("sqlite:///rows.db", "sqlite:///{}/rows.db"),
        ("sqlite:////data/rows.db", "sqlite:////data/rows.db"),
    ],
)
def test_what_is_recorded_is_found_from_elsewhere(data: str, recorded: str) -> None:
    recipe = Recipe("sales.py", RowFiles(data, columns=("x",), drop_nulls=True), "late", {"a": "1"})
    with recipe.recording():
        record = json.loads(json.dumps(present_recipe()))
    assert present_recipe() is None
    assert "secret" not in json.dumps(record)
    again = recorded_recipe(record, "sales.fit")
    assert again is not None
    assert again.rows == RowFiles(recorded.format(Path.cwd()), columns=("x",), drop_nulls=True)
    assert (again.model, again.function) == (str(Path("sales.py").absolute()), "late")
    assert again.options == {"a": "1"}


def test_damaged_records_are_refused() -> None:
    assert recorded_recipe(None, "sales.fit") is None
    with pytest.raises(ValueError, match=r"got a damaged record in 'sales\.fit'"):
        recorded_recipe({"model": "sales.py"}, "sales.fit")
