"""How a CSV file is written, by its first lines."""

from pathlib import Path
from typing import Any

import pytest

from bayou.errors import SourceError
from bayou.sources.files.delimited.csv_options import CsvOptions
from bayou.sources.files.delimited.dialect import Dialect, find_dialect
from bayou.sources.files.paths import find_files


def dialect(folder: Path, text: str, name: str = "a.csv", **options: Any) -> Dialect:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return find_dialect(find_files(path)[1][0], CsvOptions(**options))


@pytest.mark.parametrize(
    ("text", "delimiter", "decimal"),
    [
        ("x,y\n1,2\n", ",", "."),
        ("x\n1\n", ",", "."),
        ("a;b,c;d\n1,2\n", ",", "."),
        ('"a;b",c\n"1;2",3\n', ",", "."),
        ("x;y\n1;2\n", ";", "."),
        ("x;y\n1;2,5\n", ";", ","),
        ("x;y\n1;-2,5e3\n1;1,234\n", ";", ","),
        ("x;y\n1.5;2,5\n", ";", "."),
        ("x;y\n1;1.234,5\n", ";", "."),
        ("x;y\n\n1;2", ";", "."),
        ("x\ty\n1\t2,5\n", "\t", ","),
    ],
)
def test_separators(text: str, delimiter: str, decimal: str, tmp_path: Path) -> None:
    found = dialect(tmp_path, text)
    assert (found.delimiter, found.decimal) == (delimiter, decimal)
    assert bool(found.guess) == ((delimiter, decimal) != (",", "."))


def test_tabs_are_expected_by_the_suffix(tmp_path: Path) -> None:
    found = dialect(tmp_path, "x\ty\n1\t2\n", "a.tsv")
    assert (found.delimiter, found.guess) == ("\t", "")


def test_commas_of_thousands_or_decimals(tmp_path: Path) -> None:
    text = "x;y\n1;1,234\n2;5,000\n"
    with pytest.raises(
        ValueError, match=r"`decimal` must be given for .*a.csv, got .* as 1,234, wh"
    ):
        dialect(tmp_path, text, delimiter=";")
    assert dialect(tmp_path, text, delimiter=";", decimal=",").decimal == ","


def test_a_first_line_of_numbers(tmp_path: Path) -> None:
    message = (
        r"`header` must be given for .*a.csv, .* the numbers 1, 2.5.\nHint: header=None numbers"
    )
    with pytest.raises(ValueError, match=message):
        dialect(tmp_path, "1,2.5\n3,4\n")
    numbered = dialect(tmp_path, "1,2.5\n3,4\n", header=None)
    assert (numbered.names, numbered.start) == (("f0", "f1"), 0)
    assert dialect(tmp_path, "2019,2020\n3,4\n", header=True).names == ("2019", "2020")
    assert dialect(tmp_path, "id,2020\n3,4\n").names == ("id", "2020")


def test_names_for_each_column(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"`column_names` must name each of the 2 columns of .* 1 n"
    ):
        dialect(tmp_path, "1,2\n", column_names=("x",))


def test_a_file_without_lines(tmp_path: Path) -> None:
    for text, skipped in (("", 0), ("\n\n", 0), ("x,y\n", 1)):
        with pytest.raises(SourceError, match="must begin with a line that names its columns, got"):
            dialect(tmp_path, text, skip_rows=skipped)
