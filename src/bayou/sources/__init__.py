"""Sources: tables of rows with named fields, in memory, in files or in a database.

Every source has the contract of :class:`Source`: it is read block by block (what its storage reads
at once) or row by row, and reading never changes it, so that several threads may read at once.
:func:`source` and :func:`scan` choose the class by what they get, so that few need its name.
:class:`SqlSource` is what :func:`sql` returns, :class:`Store` what :func:`bayou.shuffle` returns.
"""

from bayou.sources.base.field import Field, Table
from bayou.sources.base.source import Column, Source
from bayou.sources.files.store import Store
from bayou.sources.open import scan, source
from bayou.sources.streams.sql import SqlSource, sql

__all__ = ["Column", "Field", "Source", "SqlSource", "Store", "Table", "scan", "source", "sql"]
