"""Sources of rows in files, one module a format.

Parquet, Arrow IPC and CSV files share one source, ``arrow.ArrowSource``, to which each format is a
:class:`~bayou.sources.files.data_file.DataFile`. The formats of arrays (.npy, .npz, Zarr and the
store of :func:`bayou.shuffle`) have sources of their own, most with random access.
"""

# Pickled sources of bayou 0.1.0 name both here.
from bayou.errors import SourceError
from bayou.sources.files.listed_file import File

__all__ = ["File", "SourceError"]
