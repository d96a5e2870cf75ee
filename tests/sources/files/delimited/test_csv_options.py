"""What a user says of CSV files is checked by itself."""

from typing import Any

import pytest

import bayou.sources as by
from bayou.sources.files.delimited.csv_options import CsvOptions


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"delimiter": ";;"},
            "`delimiter` must be one ASCII character, got ';;'.\nHint: the usual",
        ),
        ({"delimiter": 3}, "`delimiter` must be one ASCII character, got 3"),
        ({"decimal": ";"}, r"`decimal` must be '\.' or ',', .*, got ';'"),
        ({"decimal": ",", "delimiter": ","}, "another character than the delimiter, got ','"),
        ({"header": 2}, "`header` must be 'infer', True or 0, .*, got 2.\nHint: None"),
        ({"header": "no"}, "`header` must be 'infer', True or 0, .*, got 'no'"),
        ({"column_names": ("x", "x")}, "`column_names` must list different names as text, got"),
        ({"column_names": ()}, r"`column_names` must list different names as text, got \(\)"),
        (
            {"encoding": "utf8000"},
            "`encoding` must be a text encoding .*, got 'utf8000'.\nHint: 'u",
        ),
        ({"encoding": "base64"}, "`encoding` must be a text encoding .*, got 'base64'"),
        ({"skip_rows": -1}, "`skip_rows` must be a whole number of at least 0, got -1"),
    ],
)
def test_each_option_is_checked(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CsvOptions(**options)


@pytest.mark.parametrize(
    ("options", "has_header"),
    [
        ({}, None),
        ({"header": True}, True),
        ({"header": 0}, True),
        ({"header": None}, False),
        ({"header": False}, False),
        ({"column_names": ("x",)}, False),
        ({"column_names": ("x",), "header": 0}, True),
    ],
)
def test_whether_there_is_a_header(options: dict[str, Any], has_header: bool | None) -> None:
    assert CsvOptions(**options).has_header is has_header


@pytest.mark.parametrize("what", ["x.parquet", "x.npy"])
def test_options_of_other_formats_are_refused(what: str, tmp_path: Any) -> None:
    (tmp_path / what).write_bytes(b"")
    name = what.removeprefix("x.")
    message = rf"`delimiter` must be left out for the format {name}, got ';'.\nHint: it says how"
    with pytest.raises(ValueError, match=message):
        by.scan(tmp_path / what, delimiter=";")
