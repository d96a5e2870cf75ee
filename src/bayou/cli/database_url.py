"""The rows of a query of a database, by a URL."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from bayou.errors import failure_text
from bayou.sources import sql

if TYPE_CHECKING:
    from bayou.sources import Source
    from bayou.sources.base.nulls import Nulls

# The module that connects to each database, and what to install for it.
DRIVERS = {
    "sqlite": ("adbc_driver_sqlite.dbapi", "adbc-driver-sqlite"),
    "duckdb": ("duckdb", "bayou[duckdb]"),
    "postgresql": ("adbc_driver_postgresql.dbapi", "adbc-driver-postgresql"),
}
# The databases that are one file of this machine.
OF_FILES = {"sqlite", "duckdb"}


def is_database(data: str) -> bool:
    """Return whether a text is the URL of a database, and not that of files."""
    return urlsplit(data).scheme in DRIVERS and "://" in data


def open_query(url: str, query: str | None, nulls: Nulls) -> Source:
    """Return a source of the rows of a query.

    Parameters
    ----------
    url : str
        "sqlite:///FILE", "duckdb:///FILE", with a fourth slash before an absolute path, or
        "postgresql://USER@HOST/DATABASE".
    query : str or None
        A SELECT statement.
    nulls : {"refuse", "drop"}
        As for :func:`bayou.sql`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the driver of the database is not installed.
    ValueError
        If there is no query, or the database refuses it.
    """
    if query is None:
        raise ValueError(
            f"`--query` must come with a database, got {without_password(url)!r} alone.\n"
            'Hint: --query "SELECT x, y FROM rows ORDER BY id".'
        )
    try:
        return sql(query, _connector(url), nulls=nulls)
    except (ImportError, FileNotFoundError, TypeError, ValueError):
        raise
    # Each driver has errors of its own.
    except Exception as error:
        raise ValueError(
            f"`--query` must run on {without_password(url)!r}, got {failure_text(error)}.\n"
            "Hint: try the query in the database itself."
        ) from error


def without_password(url: str) -> str:
    """Return a URL without the password that it may have, for messages and records.

    Examples
    --------
    >>> without_password("postgresql://ann:secret@host:5432/flights")
    'postgresql://ann@host:5432/flights'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))


def _connector(url: str) -> partial[Any]:
    """Return a function that opens a new connection."""
    scheme = urlsplit(url).scheme
    module, requirement = DRIVERS[scheme]
    try:
        connect = import_module(module).connect
    except ImportError as error:
        raise ImportError(
            f"A database of {scheme} is read by {module.partition('.')[0]}, which is not "
            f'installed.\nHint: pip install "{requirement}"'
        ) from error
    if scheme not in OF_FILES:
        return partial(connect, url)
    path = url.removeprefix(f"{scheme}://").removeprefix("/")
    # A driver would make an empty database of that name.
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"`DATA` must be a database that exists, got {url!r}: there is no file {path!r}.\n"
            f"Hint: {scheme}:///rows.db is in the working directory; an absolute path has four "
            f"slashes, {scheme}:////home/ann/rows.db."
        )
    return partial(connect, path, read_only=True) if scheme == "duckdb" else partial(connect, path)
