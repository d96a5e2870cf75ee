"""What a user says of how CSV files are written: separators, names, encoding."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from bayou.arguments import whole_number


@dataclass(frozen=True)
class CsvOptions:
    """How CSV files are written, as :func:`bayou.scan` takes it. None: as the file looks.

    Raises
    ------
    ValueError
        If an option has another value, or two of them contradict each other.
    """

    delimiter: str | None = None
    decimal: str | None = None
    header: bool | int | str | None = "infer"
    column_names: tuple[str, ...] | None = None
    encoding: str | None = None
    skip_rows: int = 0

    def __post_init__(self) -> None:
        """Check each option."""
        whole_number("skip_rows", self.skip_rows, 0, "it counts the lines before the header.")
        delimiter = self.delimiter
        is_character = isinstance(delimiter, str) and len(delimiter) == 1 and delimiter.isascii()
        if delimiter is not None and (not is_character or delimiter in '"\r\n'):
            raise ValueError(
                f"`delimiter` must be one ASCII character, got {delimiter!r}.\n"
                "Hint: the usual ones are ',', ';', '\\t' and '|'."
            )
        if self.decimal not in (None, ".", ",") or (self.decimal == "," and delimiter == ","):
            raise ValueError(
                "`decimal` must be '.' or ',', and another character than the delimiter, got "
                f"{self.decimal!r}.\nHint: files with decimal commas have delimiter=';' mostly."
            )
        self._check_header()
        self._check_names()
        if self.encoding is not None:
            _check_encoding(self.encoding)

    @property
    def has_header(self) -> bool | None:
        """Whether the first line has the names; None if that is for the file to tell."""
        if isinstance(self.header, str):
            return False if self.column_names is not None else None
        return self.header is not None and self.header is not False

    def check_unused(self, format_name: str) -> None:
        """Check that no option was passed for files of another format.

        Raises
        ------
        ValueError
            If one was.
        """
        for name, value in vars(self).items():
            if value != getattr(CsvOptions, name):
                raise ValueError(
                    f"`{name}` must be left out for the format {format_name}, got {value!r}.\n"
                    "Hint: it says how CSV files are written."
                )

    def _check_header(self) -> None:
        header: object = self.header
        if not (header == "infer" or isinstance(header, bool | None) or header == 0):
            raise ValueError(
                f"`header` must be 'infer', True or 0, or False or None, got {header!r}.\n"
                "Hint: None is for files without a line of names; lines above it are left out by "
                "skip_rows."
            )

    def _check_names(self) -> None:
        names: object = self.column_names
        if names is None:
            return
        if (
            not isinstance(names, tuple)
            or not names
            or not all(isinstance(name, str) for name in names)
            or len(set(names)) < len(names)
        ):
            raise ValueError(
                f"`column_names` must list different names as text, got {names!r}.\n"
                "Hint: column_names=['x', 'y'] names the columns in their order."
            )


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
        "".encode(encoding)
    except (LookupError, TypeError):
        raise ValueError(
            f"`encoding` must be a text encoding that Python knows, got {encoding!r}.\n"
            "Hint: 'utf-8', 'latin-1', 'cp1252' or 'utf-16' are usual ones."
        ) from None
