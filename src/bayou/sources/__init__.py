"""Where rows are: a table of rows with named fields, whatever holds it.

A source is read block by block (what its storage reads at once) or row by row, and is never changed
by being read, so that many may read it at the same time.
"""

from bayou.sources.base.source import Column, Field, Source, Table
from bayou.sources.open import scan, source
from bayou.sources.streams.sql import sql

__all__ = ["Column", "Field", "Source", "Table", "scan", "source", "sql"]
