"""Sources of files, one format a file."""

# Pickled sources of bayou 0.1.0 name both here.
from bayou.errors import SourceError
from bayou.sources.files.listed_file import File

__all__ = ["File", "SourceError"]
