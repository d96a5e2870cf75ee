"""Downloads a file of the PyMC examples once, and checks each later read against that download."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import quote

_DATA_FOLDER = "https://raw.githubusercontent.com/pymc-devs/pymc-examples/main/examples/data/"
_TIMEOUT = (3.0, 30.0)  # seconds to connect to each of the server's addresses, and to each answer


def download(filename: str, *, hint: str) -> bytes:
    """Return the bytes of a file of the PyMC examples, from the cache if it was read before.

    Parameters
    ----------
    filename : str
        A path below the examples' data folder, known to stay below it.
    hint : str
        What to do where the file cannot be downloaded.

    Raises
    ------
    FileNotFoundError
        If the file is not in the cache and cannot be downloaded.
    OSError
        If the cached file does not match its checksum, or cannot be written.
    """
    cache = _cache_folder()
    cached, checksum = cache / "files" / filename, cache / "checksums" / filename
    # The checksum is written last: without it, a download was cut short and has to be done again.
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
    found, expected = sha256(content).hexdigest(), checksum.read_text()
    if found != expected:
        raise OSError(
            f"The cached file {cached} must be as it was downloaded, with SHA-256 {expected}, "
            f"got {found}.\nHint: delete it, and it is downloaded again."
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
    """Write in one piece, so that a reader finds all of the file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete_on_close=False) as file:
        file.write(content)
        file.close()
        Path(file.name).replace(path)
