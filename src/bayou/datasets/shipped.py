"""Finds a data file by its name: among the files that ship first, else by a checked download."""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO

from bayou.datasets.download import download

_SHIPPED = files("bayou.datasets") / "files"


def get_data(filename: str) -> BytesIO:
    r"""Return the content of a data file, ready for `pandas.read_csv` and similar functions.

    A file that ships with bayou is read from the package. Any other file is downloaded from the
    data folder of the PyMC examples and kept in the user's cache folder, together with its SHA-256.
    Later calls read it from the cache, and check it against this hash.

    Parameters
    ----------
    filename : str
        The file's name, or its path below the data folder with ``/`` between the parts.

    Returns
    -------
    io.BytesIO
        The bytes of the file, at position 0. Each call returns a new object.

    Raises
    ------
    TypeError
        If `filename` is not a str.
    ValueError
        If `filename` is not a path below the data folder.
    FileNotFoundError
        If the file neither ships with bayou nor can be downloaded.
    OSError
        If the cached file differs from what was downloaded, or cannot be written.

    Notes
    -----
    The PyMC examples publish no checksums, so the first download is trusted. The check detects a
    cached file that was truncated or changed later, but not a wrong download.

    Modelled on the ``get_data`` of PyMC3, with checksums in addition.

    Examples
    --------
    >>> by.get_data("cty.dat").readline()
    b'stfips,ctfips,st,cty,lon,lat,Uppm\n'
    """
    _check_filename(filename)
    shipped = sorted(file.name for file in _SHIPPED.iterdir())
    if filename in shipped:
        return BytesIO((_SHIPPED / filename).read_bytes())
    return BytesIO(download(filename, hint=f"these ship with bayou: {', '.join(shipped)}."))


def _check_filename(filename: str) -> None:
    if not isinstance(filename, str):
        raise TypeError(
            f"`filename` must be a str, got {filename!r}.\n"
            'Hint: pass the name of a data file, e.g. "srrs2.dat".'
        )
    # Windows drops dots and spaces at a part's end, so ".. " would climb there; "c:x" has a drive.
    climbs = any(not part.strip(" .") for part in filename.split("/"))
    if climbs or not filename.isprintable() or set(filename) & set("\\:"):
        raise ValueError(
            f"`filename` must be a path below the data folder, got {filename!r}.\n"
            'Hint: join its parts with "/", without "..", a leading "/", a backslash or a colon.'
        )
