"""Model files: what their function gets, and what is said of files that cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import bayou as by
from bayou.cli.model_file import build_model
from tests.cli.commands import refused, run, write_model, write_rows


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows"))


@pytest.mark.parametrize(
    ("imports", "annotation", "kind"),
    [
        ("", "", by.Source),
        ("import bayou as by", ": by.Source", by.Source),
        ("import pandas as pd", ": pd.DataFrame", pd.DataFrame),
        ("from __future__ import annotations", ": pd.DataFrame", pd.DataFrame),
        ("import polars as pl", ": pl.DataFrame", pl.DataFrame),
        ("import pyarrow", ": pyarrow.Table", pa.Table),
    ],
)
def test_the_annotation_chooses_what_the_function_gets(
    rows: Path, tmp_path: Path, imports: str, annotation: str, kind: type
) -> None:
    text = f"{imports}\nimport pymc as pm\ndef model(data{annotation}):\n    model = pm.Model()\n"
    path = write_model(tmp_path, f"{text}    model.got = data\n    return model\n")
    made = build_model(path, "model", {}, lambda: by.scan(str(rows))).got
    assert isinstance(made, kind)
    if kind is pd.DataFrame:
        pd.testing.assert_frame_equal(made, pd.read_parquet(rows), check_dtype=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def other(data): ...", "got no 'model'.\nHint: --function other; the file has 'other'."),
        ("model = 3", "got 'model', an int.\nHint: write the model as a function, def model(data)"),
        ("def model(data): ...", "must return the model, got None.\nHint: end it with `return"),
        ("def model(): ...", "must take the data as its first argument, but it takes none"),
        ("def model(data): return 3", "`model` in sales.py must return the model, got an int."),
        ("import sys\nsys.exit(4)", 'below `if __name__ == "__main__":`'),
        ("def model(data, a): ...", "`--option` must give 'a' of `model` in sales.py, got none"),
    ],
)
def test_files_without_such_a_function_are_refused(
    rows: Path, tmp_path: Path, text: str, told: str
) -> None:
    assert told in refused("describe", write_model(tmp_path, text), rows)


def test_files_that_are_none_are_refused(rows: Path, tmp_path: Path) -> None:
    assert "must be a Python file that exists" in refused("fit", tmp_path / "no.py", rows)
    assert "the model comes before the data" in refused("fit", rows, tmp_path / "no.py")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "def model(data):\n    return data.no_such_name\n",
            "sales.py, line 2, in model:\n    return data.no_such_name\nAttributeError: ",
        ),
        ("import no_such_module\n", "sales.py, line 1, in <module>:\n    import no_such_module\n"),
        ("def model(data:\n", "sales.py, line 1:\n    def model(data:\n'(' was never closed"),
        (
            "import bayou as by, pymc as pm\n"
            "def model(data):\n"
            "    with pm.Model():\n"
            "        by.Data('x', data, columns='distanse')\n",
            "sales.py, line 4, in model:\n    by.Data('x', data, columns='distanse')\nValueError: ",
        ),
    ],
)
def test_errors_of_the_file_show_its_line(rows: Path, tmp_path: Path, text: str, told: str) -> None:
    shown = refused("describe", write_model(tmp_path, text), rows, code=1)
    assert told in shown
    assert ("annotate it to get a frame" in shown) == ("no_such_name" in text)


def test_debug_shows_the_traceback(rows: Path, tmp_path: Path) -> None:
    path = write_model(tmp_path, "def model(data):\n    return 1 / 0\n")
    result = run("describe", path, rows, "--debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_the_folder_of_the_file_is_importable(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", sys.path.copy())
    (tmp_path / "priors_beside.py").write_text("SPREAD = 3\n", encoding="utf-8")
    path = write_model(tmp_path, "from priors_beside import SPREAD\ndef model(d): return SPREAD\n")
    assert "got an int" in refused("describe", path, rows)
