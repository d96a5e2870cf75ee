"""The bytes of a text file as UTF-8, whatever its compression and encoding, front to back."""

from __future__ import annotations

import codecs
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from bayou.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayou.sources.files.listed_file import File

# The first bytes of compressed files, and the names of Arrow for how they are compressed.
COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
# Those that Arrow does not read.
OTHER_COMPRESSIONS = {b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
# The marks that some programs write before text. That of UTF-32 begins like that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UTF8 = ("utf-8", "utf-8-sig", "ascii")


def compression_of(start: bytes, file: File) -> str | None:
    """Return the compression of a file by its first bytes, None if it has none.

    Raises
    ------
    SourceError
        If it is one that is not read.
    """
    for first, name in OTHER_COMPRESSIONS.items():
        if start.startswith(first):
            raise SourceError(
                f"`{file.path}` must be compressed by gzip, bz2, zstd or lz4 if at all, got {name}."
                "\nHint: unpack it first."
            )
    return next((name for first, name in COMPRESSIONS.items() if start.startswith(first)), None)


def encoding_of(start: bytes) -> str | None:
    """Return the encoding of text by the mark before it, None without one."""
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), None)


def read_chunks(file: File, compression: str | None, size: int, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed, some at a time.

    Parameters
    ----------
    file : File
        The file.
    compression : str or None
        How it is compressed, by Arrow's names.
    size : int
        The bytes to yield at a time, about.
    start : int, default 0
        The first byte to yield.
    """
    with file.open() as handle:
        if compression is None:
            handle.seek(start)
            while data := handle.read(size):
                yield data
            return
        with pa.CompressedInputStream(handle, compression) as stream:
            while data := stream.read(size):
                rest, start = data[start:], max(0, start - len(data))
                if rest:
                    yield rest


def decode_chunks(
    chunks: Iterator[bytes], encoding: str, line_end: bytes, file: File
) -> Iterator[bytes]:
    """Yield text of another encoding as UTF-8, with line feeds at the ends of lines.

    Raises
    ------
    SourceError
        If bytes are none of the encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    with decoding(file, encoding):
        for chunk in chunks:
            yield _with_newlines(decoder.decode(chunk), line_end)
        yield _with_newlines(decoder.decode(b"", final=True), line_end)


def _with_newlines(text: str, line_end: bytes) -> bytes:
    data = text.encode()
    return data.replace(b"\r", b"\n") if line_end == b"\r" else data


@contextmanager
def decoding(file: File, encoding: str) -> Iterator[None]:
    """Turn the error for bytes that are not of an encoding into one that says what to pass."""
    try:
        yield
    except UnicodeDecodeError as error:
        got = error.object[error.start : error.start + 1]
        raise encoding_error(file, encoding, f"the byte {got!r}") from None


def encoding_error(file: File, encoding: str, got: str) -> SourceError:
    """Return the error for text of another encoding."""
    return SourceError(
        f"`{file.path}` must be text encoded as {encoding}, got {got}.\n"
        "Hint: pass the encoding that it was written with, such as encoding='latin-1', 'cp1252' or "
        "'utf-16'."
    )
