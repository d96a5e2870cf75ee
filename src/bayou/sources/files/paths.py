"""The files that paths, globs, folders and lists of them stand for, on any filesystem.

Files are listed once, by Arrow's filesystems. Arrow's own discovery of data sets is not used: it
knows no globs, keeps neither the size nor the time of change of a file, which are compared whenever
it is read, and would save little (2,000 files in 34 ms instead of 57, measured on 2 cores).
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from bayou.sources.files.listed_file import File
from bayou.sources.files.remote_store import reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fsspec import AbstractFileSystem

type ArrowFormat = Literal["parquet", "ipc", "csv"]
"""The formats that Arrow reads."""

type Filesystem = fs.FileSystem | AbstractFileSystem
"""A filesystem of pyarrow or of fsspec, the latter an optional package."""

type Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# The formats that are read, and the suffixes of their files.
SUFFIXES: dict[ArrowFormat, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "ipc": (".arrow", ".arrows", ".feather", ".ipc"),
    "csv": (".csv", ".tsv"),
}
# What may follow the suffix of a CSV file.
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
GOOGLE = ("gs://", "gcs://")
RETRY_SECONDS = 10
# The folders that tables with a log of their files have.
LOGGED_TABLES = {
    "Delta": ("_delta_log",),
    "Hudi": (".hoodie",),
    "Iceberg": ("metadata", "data"),
}
# The value that Hive writes into the name of a folder for null.
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def find_files(
    what: Paths, format_name: ArrowFormat | None = None, filesystem: Filesystem | None = None
) -> tuple[ArrowFormat, tuple[File, ...]]:
    """List the files that hold the rows of a source, and return their format.

    Parameters
    ----------
    what : str, path, or sequence of them
        Files, folders (with all files in them and in folders below) or globs (``*``, ``?``,
        ``[a-c]``, and ``**`` for any folders), local or as URLs. In a URL, ``?`` begins the options
        of the filesystem. A sequence keeps its order; files of one folder or glob are sorted by
        their paths.
    format_name : {"parquet", "ipc", "csv"}, optional
        The format. By default that of the suffix of the files' names.
    filesystem : pyarrow or fsspec filesystem, optional
        The filesystem of the paths. By default that of this machine, or of a URL.

    Returns
    -------
    str
        The format.
    tuple of File
        At least one.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    SourceError
        If a store cannot be reached.
    ValueError
        If the format is not known, or the files have several.
    """
    if format_name is not None and format_name not in SUFFIXES:
        raise ValueError(
            f"`format` must be one of {', '.join(SUFFIXES)}, got {format_name!r}.\n"
            "Hint: leave it out if the names of the files have the suffix of their format."
        )
    singles = [what] if isinstance(what, str | os.PathLike) else list(what)
    files = [
        file for single in singles for file in _list(os.fspath(single), format_name, filesystem)
    ]
    if not files:
        raise FileNotFoundError(
            f"`what` must name at least one file, got {what!r}, which matches no file.\n"
            "Hint: check the path or the pattern; in a folder, the files count whose names end in "
            f"one of {_suffixes(format_name)} and begin with neither . nor _."
        )
    return format_name or _format_of(files), tuple(files)


def _format_of(files: Sequence[File]) -> ArrowFormat:
    """Return the format of files by their suffixes."""
    formats = {_known_format(file.path): file.path for file in files}
    if None in formats:
        raise ValueError(
            "`format` must be given for files without a known suffix, got "
            f"{formats[None]!r}.\n"
            f"Hint: the suffixes are {_suffixes(None)} (and {', '.join(COMPRESSED)} after those of "
            "CSV files); else pass format='parquet', 'ipc' or 'csv'."
        )
    if len(formats) > 1:
        examples = " and ".join(map(repr, formats.values()))
        raise ValueError(
            f"`what` must hold files of one format, got {examples}.\n"
            "Hint: choose one with `format`, or with a glob such as '*.parquet'."
        )
    return next(name for name in formats if name is not None)


def _known_format(path: str) -> ArrowFormat | None:
    name = PurePosixPath(path.lower())
    if name.suffix in COMPRESSED:
        return "csv" if PurePosixPath(name.stem).suffix in SUFFIXES["csv"] else None
    return next((key for key, suffixes in SUFFIXES.items() if name.suffix in suffixes), None)


def _suffixes(format_name: ArrowFormat | None) -> str:
    chosen = [SUFFIXES[format_name]] if format_name else SUFFIXES.values()
    return ", ".join(chain.from_iterable(chosen))


def _list(
    single: str, format_name: ArrowFormat | None, filesystem: Filesystem | None
) -> list[File]:
    """List the files of one path, folder or glob, and give up a store that does not answer."""
    if "://" not in single and (filesystem is None or isinstance(filesystem, fs.LocalFileSystem)):
        return list(_expand(single, format_name, filesystem))
    return reach(single, lambda: list(_expand(single, format_name, filesystem)))


def _expand(
    single: str, format_name: ArrowFormat | None, filesystem: Filesystem | None
) -> Iterator[File]:
    """List the files of one path, folder or glob."""
    where, path = locate(single, filesystem)
    info = where.get_file_info(path)
    if info.type == fs.FileType.File:
        yield _file(where, info, ())
    elif info.type == fs.FileType.Directory:
        _check_no_log(where, path)
        for info, segments in _below(where, path, recursive=True):
            # A file without a suffix, as Spark writes them, has the format that the user says.
            known = _known_format(info.path) if info.extension else format_name
            if known is not None and known == (format_name or known):
                yield _file(where, info, segments)
    elif is_glob(path):
        segments = path.split("/")
        first = next(index for index, segment in enumerate(segments) if is_glob(segment))
        pattern = segments[first:]
        base = "/".join(segments[:first]) or "/"
        for info, below in _below(where, base, recursive=len(pattern) > 1 or "**" in pattern):
            if _matches(below, pattern):
                yield _file(where, info, below)
    else:
        raise FileNotFoundError(
            f"`what` must name files that exist, got {single!r}.\n"
            "Hint: check the path; relative ones start from the working directory."
        )


def _check_no_log(where: fs.FileSystem, path: str) -> None:
    """Check that a folder is no table whose log says which of its files count."""
    for kind, parts in LOGGED_TABLES.items():
        infos = where.get_file_info([f"{path}/{part}" for part in parts])
        if all(info.type == fs.FileType.Directory for info in infos):
            raise ValueError(
                f"`what` must be a folder whose files all count, got the {kind} table {path!r}, "
                "whose files may hold rows that were deleted or replaced since.\n"
                f"Hint: read it by a package for {kind}, and pass what it returns to by.source; or "
                "name the files, such as with a glob, to read all that are there."
            )


def _below(
    where: fs.FileSystem, base: str, recursive: bool
) -> Iterator[tuple[fs.FileInfo, list[str]]]:
    """List files below a folder that are not hidden, sorted by their paths.

    Yields
    ------
    pyarrow.fs.FileInfo
    list of str
        The folders below `base`, and the name.
    """
    selector = fs.FileSelector(base, allow_not_found=True, recursive=recursive)
    for info in sorted(where.get_file_info(selector), key=lambda info: str(info.path)):
        segments = info.path[len(base) :].strip("/").split("/")
        if info.type == fs.FileType.File and not any(name[0] in "._" for name in segments):
            yield info, segments


def _file(where: fs.FileSystem, info: fs.FileInfo, segments: Sequence[str]) -> File:
    pairs = (segment.split("=", 1) for segment in segments[:-1] if "=" in segment)
    keys = ((unquote(name), None if text == HIVE_NULL else unquote(text)) for name, text in pairs)
    return File(where, info.path, info.size, info.mtime_ns, tuple(keys))


def is_glob(path: str) -> bool:
    """Return whether a path has wildcards."""
    return re.search(r"[*?\[]", path) is not None


def _matches(segments: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the segments of a path match those of a glob."""
    if not pattern:
        return not segments
    if pattern[0] == "**":
        return any(_matches(segments[skip:], pattern[1:]) for skip in range(len(segments) + 1))
    if not segments:
        return False
    return fnmatchcase(segments[0], pattern[0]) and _matches(segments[1:], pattern[1:])


def locate(path: str, filesystem: Filesystem | None = None) -> tuple[fs.FileSystem, str]:
    """Return the pyarrow filesystem of a path, and the path there.

    Raises
    ------
    ValueError
        If neither pyarrow nor fsspec opens such a URL.
    TypeError
        If the filesystem is neither of pyarrow nor of fsspec.
    """
    if filesystem is not None:
        return _arrow_filesystem(filesystem), path.rstrip("/") or "/"
    if "://" not in path:
        return fs.LocalFileSystem(), Path(path).expanduser().absolute().as_posix()
    # Wildcards are not valid in a URL: the part before them gives the filesystem.
    plain, rest = _split_glob(path)
    if plain.startswith(GOOGLE) and "retry_limit_seconds=" not in plain:
        # By default, it tries again for a quarter of an hour.
        plain += f"{'&' if '?' in plain else '?'}retry_limit_seconds={RETRY_SECONDS}"
    try:
        where, base = _from_uri(plain)
    except pa.ArrowException as error:
        where, base = _fsspec_location(plain, error)
    return where, "/".join([base.rstrip("/"), *rest]) or "/"


def _from_uri(url: str) -> tuple[fs.FileSystem, str]:
    where, path = fs.FileSystem.from_uri(url)
    return where, path


def _split_glob(url: str) -> tuple[str, list[str]]:
    """Return a URL up to the first segment with a wildcard, and the segments from there on."""
    path, question, options = url.partition("?")
    scheme, _, path = path.partition("://")
    segments = path.rstrip("/").split("/")
    first = next((at for at, segment in enumerate(segments) if is_glob(segment)), len(segments))
    return f"{scheme}://{'/'.join(segments[:first])}{question}{options}", segments[first:]


def _fsspec_location(url: str, error: Exception) -> tuple[fs.FileSystem, str]:
    try:
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(url)
    except (ImportError, ValueError) as cause:
        raise ValueError(
            f"`what` must be a URL that pyarrow or fsspec opens, got {url!r}: {error}; {cause}.\n"
            "Hint: install fsspec and its package for this scheme, or pass `filesystem`."
        ) from cause
    return _arrow_filesystem(filesystem), path


def _arrow_filesystem(filesystem: Filesystem) -> fs.FileSystem:
    if isinstance(filesystem, fs.FileSystem):
        return filesystem
    # All filesystems of fsspec have these two, so that fsspec need not be imported to check.
    if hasattr(filesystem, "protocol") and hasattr(filesystem, "cat_file"):
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    raise TypeError(
        f"`filesystem` must be one of pyarrow or fsspec, got {type(filesystem).__name__}.\n"
        "Hint: pyarrow.fs.S3FileSystem(...), or fsspec.filesystem('memory')."
    )
