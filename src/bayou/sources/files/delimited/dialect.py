"""How a CSV file is written: what the user says, and else what its first lines look like.

A file without commas between its values, or a point before decimals, is read as it looks, and the
user is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv

from bayou.errors import SourceError
from bayou.sources.files.delimited.utf8_stream import (
    UTF8,
    compression_of,
    decode_chunks,
    decoding,
    encoding_of,
    read_chunks,
)
from bayou.sources.files.listed_file import reading
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.delimited.csv_options import CsvOptions
    from bayou.sources.files.listed_file import File

# The first bytes of a file that it is looked at by, and the lines among them.
LOOKED_AT = 2**16
MAX_LINES = 50
# The delimiters that are looked for, in this order.
DELIMITERS = (",", ";", "\t", "|")
TAB_SUFFIXES = (".tsv", ".tab")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes
    ----------
    names : tuple of str
        The names of all of its columns, in their order.
    start : int
        The position of the first row among its bytes, as UTF-8 if it is a stream.
    delimiter : str
        The character between values.
    decimal : str
        The character before decimals.
    compression : str, optional
        How it is compressed.
    encoding : str
        The encoding of its text.
    line_end : bytes
        The byte at the end of its lines, a line feed or a carriage return alone.
    guess : str
        How the file looks otherwise than expected, for the user to know; mostly nothing.
    """

    names: tuple[str, ...] = ()
    start: int = 0
    delimiter: str = ","
    decimal: str = "."
    compression: str | None = None
    encoding: str = "utf-8"
    line_end: bytes = b"\n"
    guess: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether the file is read from front to back alone, and not from any of its bytes."""
        is_plain = self.encoding in UTF8 and self.line_end == b"\n"
        return self.compression is not None or not is_plain

    def chunks(self, file: File, size: int) -> Iterator[bytes]:
        """Yield the bytes of the rows as UTF-8, some at a time."""
        if not self.is_stream:
            yield from read_chunks(file, None, size, self.start)
            return
        skipped = self.start
        raw = read_chunks(file, self.compression, size)
        for chunk in decode_chunks(raw, self.encoding, self.line_end, file):
            rest, skipped = chunk[skipped:], max(0, skipped - len(chunk))
            if rest:
                yield rest


def find_dialect(file: File, options: CsvOptions) -> Dialect:
    """Return how a file is written, by what the user says and by its first bytes.

    Raises
    ------
    SourceError
        If the file has no line, or is of another encoding.
    ValueError
        If it looks as if it had no line of names, or its decimals are not clear.
    """
    with reading(file, "first bytes"):
        with file.open() as handle:
            compression = compression_of(handle.read(8), file)
        raw = next(read_chunks(file, compression, LOOKED_AT), b"")
    encoding = options.encoding or encoding_of(raw) or "utf-8"
    text = _decode_start(raw, encoding, file)
    line_end = b"\r" if "\r" in text and "\n" not in text else b"\n"
    is_stream = Dialect(compression=compression, encoding=encoding, line_end=line_end).is_stream
    # The mark before the text is among the bytes of a file that is not decoded.
    start = 3 if encoding_of(raw) == "utf-8-sig" and not is_stream else 0
    if line_end == b"\r":
        text = text.replace("\r", "\n")
    lines = text.splitlines(keepends=True)
    skipped = lines[: options.skip_rows]
    for line in lines[options.skip_rows :]:
        if line.strip():
            break
        skipped.append(line)
    lines = lines[len(skipped) :]
    if not lines:
        raise SourceError(
            f"`{file.path}` must begin with a line that names its columns, got none.\n"
            "Hint: leave the file out, or write the names."
        )
    start += sum(len(line.encode()) for line in skipped)
    looked_at = [line.rstrip("\r\n") for line in _complete(lines, text)[:MAX_LINES] if line.strip()]
    delimiter, decimal, guess = _separators(file, options, looked_at)
    names = _split(lines[0], delimiter)
    has_header = options.has_header
    if has_header is None:
        _check_names(file, names)
        has_header = True
    if has_header:
        start += len(lines[0].encode())
    return Dialect(
        names=_column_names(file, options, names, has_header=has_header),
        start=start,
        delimiter=delimiter,
        decimal=decimal,
        compression=compression,
        encoding=encoding,
        line_end=line_end,
        guess=guess,
    )


def _decode_start(raw: bytes, encoding: str, file: File) -> str:
    """Return the first bytes of a file as text; a character that they cut off is left out."""
    with decoding(file, encoding):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(raw) - 4 or len(raw) < LOOKED_AT:
                raise
            text = raw[: error.start].decode(encoding)
    return text.removeprefix("\ufeff")


def _complete(lines: list[str], text: str) -> list[str]:
    """Return lines without the last one where it may be cut off."""
    return lines[:-1] if len(text) >= LOOKED_AT // 4 and len(lines) > 1 else lines


def _separators(file: File, options: CsvOptions, lines: Sequence[str]) -> tuple[str, str, str]:
    """Return the delimiter, the character before decimals, and what is unexpected of them."""
    path = PurePosixPath(file.path)
    is_tabbed = any(suffix.lower() in TAB_SUFFIXES for suffix in path.suffixes)
    expected = "\t" if is_tabbed else ","
    delimiter = options.delimiter or _find_delimiter(lines, expected)
    decimal = options.decimal or _find_decimal(file, lines, delimiter)
    guessed = []
    if options.delimiter is None and delimiter != expected:
        guessed.append(("separated by", "delimiter", delimiter))
    if options.decimal is None and decimal != ".":
        guessed.append(("written with decimals after", "decimal", decimal))
    looks = " and ".join(f"{text} {character!r}" for text, _, character in guessed)
    said = ", ".join(f"{name}={character!r}" for _, name, character in guessed)
    guess = f"looks {looks}, and is read so.\nHint: pass {said} to say it." if guessed else ""
    return delimiter, decimal, guess


def _find_delimiter(lines: Sequence[str], expected: str) -> str:
    """Return the first delimiter that all lines have, and as often; else the expected one."""
    for delimiter in dict.fromkeys((expected, *DELIMITERS)):
        counts = {len(_split(line, delimiter)) for line in lines}
        if len(counts) == 1 and counts != {1}:
            return delimiter
    return expected


def _find_decimal(file: File, lines: Sequence[str], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    values = [value.strip() for line in lines[1:] for value in _split(line, delimiter)]
    commas = [value for value in values if _DECIMAL_COMMA.fullmatch(value)]
    if not commas or any(map(_DECIMAL_POINT.fullmatch, values)):
        return "."
    if all(map(_THOUSANDS.fullmatch, commas)):
        raise ValueError(
            f"`decimal` must be given for {file.path}, got values such as {commas[0]}, whose comma "
            "may be before decimals or between thousands.\n"
            "Hint: decimal=',' reads it as before decimals, decimal='.' as text."
        )
    return ","


def _split(line: str, delimiter: str) -> list[str]:
    """Return the values in a line, as Arrow's reader takes it apart."""
    options = csv.ParseOptions(delimiter=delimiter)
    data = f"{line.rstrip('\r\n')}\n".encode()
    try:
        return list(csv.read_csv(pa.BufferReader(data), parse_options=options).column_names)
    except pa.ArrowInvalid:
        return [line]


def _check_names(file: File, names: Sequence[str]) -> None:
    if names and all(_NUMBER.fullmatch(name.strip()) for name in names):
        raise ValueError(
            f"`header` must be given for {file.path}, whose first line has no names but the "
            f"numbers {listed(names, 5, str)}.\n"
            "Hint: header=None numbers the columns, column_names=[...] names them, and header=True "
            "takes these for their names."
        )


def _column_names(
    file: File, options: CsvOptions, names: Sequence[str], *, has_header: bool
) -> tuple[str, ...]:
    if options.column_names is None:
        # As Arrow's reader numbers them.
        return tuple(names) if has_header else tuple(f"f{at}" for at in range(len(names)))
    if len(options.column_names) != len(names):
        raise ValueError(
            f"`column_names` must name each of the {len(names)} columns of {file.path}, got "
            f"{len(options.column_names)} names.\n"
            "Hint: check the delimiter too."
        )
    return options.column_names
