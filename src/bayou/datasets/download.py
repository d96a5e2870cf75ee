"""Download of the files of the PyMC examples, once, with a checksum for each later read.

The cache is a folder of the user, with the SHA-256 of each file beside it.
"""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from bayou.storage.atomic_write import write_atomically

_DATA_FOLDER = "https://raw.githubusercontent.com/pymc-devs/pymc-examples/main/examples/data/"
# Seconds to connect to each address of the server, and to wait for each part of an answer.
_TIMEOUT = (3.0, 30.0)


def download(filename: str, *, hint: str) -> bytes:
    """Return the bytes of a file of the PyMC examples, from the cache if it was read before.

    Parameters
    ----------
    filename : str
        A path in the examples' data folder, checked to stay in it.
    hint : str
        The hint of the error if the file cannot be downloaded.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    FileNotFoundError
        If the file is not in the cache and cannot be downloaded.
    OSError
        If the cached file does not match its checksum, or cannot be written.
    """
    cache = _cache_folder()
    cached, checksum = cache / "files" / filename, cache / "checksums" / filename
    # The checksum is written last: a file without one is of a download that was interrupted.
    if checksum.is_file() and cached.is_file():
        return _checked(cached, checksum)
    content = _content(filename, hint)
    _write(cached, content)
    _write(checksum, sha256(content).hexdigest().encode())
    return content


def _cache_folder() -> Path:
    import pooch

    return Path(pooch.os_cache("bayou"))


def _checked(cached: Path, checksum: Path) -> bytes:
    content = cached.read_bytes()
    actual, expected = sha256(content).hexdigest(), checksum.read_text()
    if actual != expected:
        raise OSError(
            f"The cached file {cached} must be as it was downloaded, with SHA-256 {expected}, "
            f"got {actual}.\nHint: delete it, and it is downloaded again."
        )
    return content


def _content(filename: str, hint: str) -> bytes:
    import pooch
    import requests

    url, buffer = _DATA_FOLDER + quote(filename), BytesIO()
    try:
        pooch.HTTPDownloader(timeout=_TIMEOUT, stream=False)(url, buffer, None)
    except requests.RequestException as error:
        answer = error.response
        reason = "could not be reached" if answer is None else f"answered {answer.status_code}"
        raise FileNotFoundError(
            "`filename` must be a file that ships with bayou or one of the PyMC examples' data, "
            f"got {filename!r}, which does not ship, and the examples' server {reason}.\n"
            f"Hint: {hint}"
        ) from error
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
