"""The functions ``source`` and ``scan``, which choose the class of a source for what they get.

``source`` goes by the kind of an object (see ``kinds``), ``scan`` by the suffixes of files and what
is in folders. No row is read to choose, and few to open: see each class.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from bayou.sources.base.nulls import check_nulls
from bayou.sources.derived.adapter import WrappedSource
from bayou.sources.derived.concatenated import ChainSource
from bayou.sources.files.arrow import ArrowSource
from bayou.sources.files.delimited.csv_options import CsvOptions
from bayou.sources.files.npy import NpySource
from bayou.sources.files.paths import SUFFIXES, is_glob
from bayou.sources.files.store import is_store, open_store
from bayou.sources.files.zarr import ZarrSource, is_zarr
from bayou.sources.kinds import is_source, open_kind
from bayou.sources.streams.row_generator import GeneratorSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.sources.base.nulls import Nulls
    from bayou.sources.base.source import Source
    from bayou.sources.files.paths import Filesystem, Paths

# The format of a file or folder, by its suffix.
_FORMATS = {suffix: name for name, suffixes in SUFFIXES.items() for suffix in suffixes} | {
    ".npy": "npy",
    ".npz": "npz",
    ".zarr": "zarr",
}
# The formats, by the names that the argument `format` takes.
_FORMAT_NAMES = {name: name for name in (*_FORMATS.values(), "store")} | {
    "arrow": "ipc",
    "feather": "ipc",
}


def source(obj: object, *, nulls: Nulls = "refuse", num_rows: int | None = None) -> Source:
    """Return a source of the rows of an object.

    Parameters
    ----------
    obj : array_like, frame, dataset, callable or object
        The rows, as one of:

        - an array, whose field is called "value", a structured or masked array, or a dict of
          arrays, each with the rows on its first axis;
        - a frame of pandas, Polars (also lazy) or PyArrow, or a DuckDB relation;
        - a Dataset or DataArray of xarray, or an array or group of Zarr;
        - a function that returns a new iterator of dicts at each call, each dict a row or a block
          of rows;
        - an object with the members ``fields``, ``blocks`` and ``read`` of a :class:`Source`.
    nulls : {"refuse", "drop"}, default "refuse"
        "refuse" raises an error when a null is read. "drop" leaves out the rows that have one and
        counts them in ``num_dropped``. Null, None and masked values are nulls; NaN is a value.
    num_rows : int, optional
        For a function, the number of rows that its iterator yields in total, which is otherwise
        known only after a pass. It is checked, for other objects too.

    Returns
    -------
    Source
        The rows, without a copy where the layout of the object allows it.

    Raises
    ------
    TypeError
        If no source can be made of such an object.
    ValueError
        If there are no fields or rows, if names repeat or lengths differ, if there are nulls that
        are refused, or if `num_rows` is wrong.

    Examples
    --------
    >>> rows = by.source({"x": np.arange(4.0), "late": np.array([True, False, False, True])})
    >>> rows.num_rows, list(rows.fields)
    (4, ['x', 'late'])
    >>> rows.take(np.array([3, 0]), ["x"])
    {'x': array([3., 0.])}
    """
    check_nulls(nulls)
    # An object with the members of a source may be callable too.
    if callable(obj) and not is_source(obj):
        return GeneratorSource(obj, num_rows=num_rows, nulls=nulls)
    opened = open_kind(obj, nulls, "obj")
    if num_rows is not None and num_rows != opened.num_rows:
        raise ValueError(
            f"`num_rows` must be the number of rows, {opened.num_rows}, got {num_rows}.\n"
            "Hint: leave it out, unless `obj` is a function that yields rows."
        )
    return opened


def as_source(obj: object, argument: str) -> Source:
    """Return a source of an object as :func:`source` does, with errors that name an argument."""
    if callable(obj) and not is_source(obj):
        return GeneratorSource(obj)
    return open_kind(obj, "refuse", argument)


def scan(
    what: Paths,
    *,
    format: str | None = None,  # noqa: A002 - the name that readers of files give it
    columns: Sequence[str] | None = None,
    nulls: Nulls = "refuse",
    filesystem: Filesystem | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | int | str | None = "infer",
    column_names: Sequence[str] | None = None,
    encoding: str | None = None,
    skip_rows: int = 0,
) -> Source:
    """Return a source of the rows in files.

    Parameters
    ----------
    what : str, path, or sequence of them
        Files, folders or globs: Parquet, Arrow IPC (Feather), CSV (.csv, .tsv, also compressed as
        .csv.gz, .bz2, .zst or .lz4), .npy, .npz, Zarr, or a store that :func:`bayou.shuffle` wrote.
        The rows of several files follow one another, in the order
        of the files.
    format : {"parquet", "ipc", "arrow", "feather", "csv", "npy", "npz", "zarr", "store"}, optional
        The format. By default it is taken from the suffixes of the files.
    columns : sequence of str, optional
        The fields to read. By default all.
    nulls : {"refuse", "drop"}, default "refuse"
        "refuse" raises an error when a null is read. "drop" leaves out the rows that have one in
        `columns` and counts them in ``num_dropped``. In CSV files, empty values, NA, NULL and NaN
        are nulls. Arrays (.npy, .npz, Zarr, stores) have none.
    filesystem : pyarrow.fs.FileSystem or fsspec filesystem, optional
        The filesystem of the paths, for Parquet, IPC and CSV files, and Zarr (of fsspec). URLs
        need none.
    delimiter : str, optional
        For CSV files, the character between values. By default as the first lines look: a file
        without commas that looks separated by ";", tabs or "|" is read so, with a warning.
    decimal : {".", ","}, optional
        For CSV files, the character before decimals. By default as the first lines look, with a
        warning if it is a comma.
    header : {"infer", True, False} or 0 or None, default "infer"
        For CSV files, whether the first line has the names of the columns. None and False: it has
        values. "infer": it has names, unless there are `column_names`; an error if it looks like
        numbers.
    column_names : sequence of str, optional
        For CSV files, the names of all columns, in their order. Without a header, they are
        "f0", "f1", ... by default.
    encoding : str, optional
        For CSV files, the encoding, such as "latin-1". By default UTF-8, or UTF-16 if the file
        begins with the mark of it.
    skip_rows : int, default 0
        For CSV files, the lines above the header to leave out.

    Returns
    -------
    Source
        The rows, which stay in the files until they are read.

    Raises
    ------
    FileNotFoundError
        If no file matches.
    TypeError
        If `what` has something other than paths, or if a column has different types in the files.
    ValueError
        If a path is empty, if the format is not known, if the files have several formats or
        different columns, or if there are no fields or rows.
    ImportError
        If the package that reads the format is not installed.
    SourceError
        If a file is damaged (a ValueError for .npy and .npz files), or a store cannot be reached:
        it is given up after 20 seconds.

    Notes
    -----
    Decimals are read as the nearest float64, which keeps 15 digits. Decimals of a type without
    digits after the point are int64; one that is larger is an error. Times of day are durations
    since midnight (timedelta64). Times with a zone are in UTC.

    Where files differ in the type of a column, it gets the type that holds all values of all of
    them: int64 for int32 and int64, float64 for float32 or int32 and float64, text for text and
    categories. An int64 beside a float64 is an error, since a float64 does not hold all of int64.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(folder.name + "/x.npy", np.arange(6.0).reshape(3, 2))
    >>> rows = by.scan(folder.name + "/x.npy")
    >>> rows.num_rows, rows["value"].shape
    (3, (2,))
    >>> folder.cleanup()
    """
    check_nulls(nulls)
    if format is not None and format not in _FORMAT_NAMES:
        raise ValueError(
            f"`format` must be one of {', '.join(_FORMAT_NAMES)}, got {format!r}.\n"
            "Hint: leave it out if the names of the files have the suffix of their format."
        )
    names = None if column_names is None else tuple(column_names)
    csv = CsvOptions(delimiter, decimal, header, names, encoding, skip_rows)
    paths = _paths(what)
    name = _FORMAT_NAMES[format] if format is not None else _format(paths, filesystem)
    if name is None or name in SUFFIXES:
        return ArrowSource(
            what, format=name, columns=columns, filesystem=filesystem, nulls=nulls, csv=csv
        )
    csv.check_unused(name)
    if filesystem is not None and name != "zarr":
        raise ValueError(
            f"`filesystem` must be left out for the format {name}, got {filesystem!r}.\n"
            "Hint: such files are mapped into memory, which takes files of this machine."
        )
    for single in paths:
        path = os.fspath(single)
        if "://" in path and name != "zarr":
            raise ValueError(
                f"`what` must be files of this machine for the format {name}, got {path!r}.\n"
                "Hint: copy them to this machine first, since they are mapped into memory."
            )
    opened = {
        str(path): _open(os.fspath(path), name, columns, filesystem)
        for single in paths
        for path in ([single] if filesystem is not None else _expand(single, name))
    }
    return next(iter(opened.values())) if len(opened) == 1 else ChainSource(opened)


def _paths(what: Paths) -> list[str | os.PathLike[str]]:
    """Return the argument `what` as a list of paths, after a check of each."""
    hint = (
        'name files, folders or globs, such as "flights/*.parquet"; "." is the working directory. '
        "Objects in memory go to by.source."
    )
    # A frame or a mapping gives the names of its columns, which are no paths.
    is_list = isinstance(what, Iterable) and not isinstance(what, str | bytes | os.PathLike)
    single = not is_list or isinstance(what, Mapping) or hasattr(what, "columns")
    paths: list[Any] = [what] if single else list(cast("Iterable[object]", what))
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(
                "`what` must be a path or a sequence of paths, got "
                f"{'' if single else 'one that holds '}{type(path).__name__}.\nHint: {hint}"
            )
        if not os.fspath(path):
            raise ValueError(f"`what` must name files, got {path!r}.\nHint: {hint}")
        if "\0" in os.fspath(path):
            raise ValueError(
                f"`what` must name files, which have no null character, got {path!r}.\nHint: {hint}"
            )
    return paths


def _format(paths: Sequence[str | os.PathLike[str]], filesystem: Filesystem | None) -> str | None:
    """Return the format of all paths, None for Parquet, IPC and CSV (see `find_files`)."""
    formats = {_format_of(os.fspath(path), filesystem) for path in paths}
    if len(formats) > 1:
        names = ", ".join(sorted("a format of Arrow" if name is None else name for name in formats))
        raise ValueError(
            f"`what` must be files of one format, got {names}.\n"
            "Hint: scan the files of each format by themselves."
        )
    return next(iter(formats), None)


def _format_of(path: str, filesystem: Filesystem | None) -> str | None:
    name = _FORMATS.get(PurePosixPath(path).suffix.lower())
    folder = Path(path).expanduser()
    if "://" not in path and filesystem is None and folder.is_dir():
        if is_store(folder):
            return "store"
        if is_zarr(folder):
            return "zarr"
        inside = {_FORMATS.get(file.suffix.lower()) for file in folder.iterdir()}
        if inside & {"npy", "npz"}:
            return _only_format(inside, path)
    return None if name in SUFFIXES else name


def _only_format(formats: set[str | None], path: str) -> str | None:
    known = sorted(name for name in formats if name is not None)
    if len(known) > 1:
        raise ValueError(
            f"`what` must be files of one format, got {path!r} with {', '.join(known)}.\n"
            "Hint: choose one with `format`, or with a glob such as '*.npy'."
        )
    return known[0]


def _expand(single: str | os.PathLike[str], format_name: str) -> list[str]:
    """Return the paths of a glob or of a folder of NumPy files, sorted by their names."""
    path = os.fspath(single)
    folder = Path(path).expanduser()
    # A name may have brackets itself, such as "rows[1].npy".
    if is_glob(path) and not folder.exists():
        pattern = folder.absolute()
        root = Path(pattern.anchor)
        paths = sorted(map(str, root.glob(str(pattern.relative_to(root)))))
    elif format_name in {"npy", "npz"} and folder.is_dir():
        paths = sorted(str(file) for file in folder.glob(f"*.{format_name}"))
    else:
        paths = [path] if "://" in path else [str(folder)] if folder.exists() else []
    if not paths:
        raise FileNotFoundError(
            f"`what` must name at least one file, got {path!r}, which matches no file.\n"
            "Hint: check the path; relative ones start from the working directory."
        )
    return paths


def _open(
    path: str, format_name: str, columns: Sequence[str] | None, filesystem: Filesystem | None
) -> Source:
    if format_name == "zarr":
        return ZarrSource(path, columns, filesystem)
    if format_name == "store":
        return open_store(path) if columns is None else WrappedSource(open_store(path), columns)
    return NpySource(path, columns)
