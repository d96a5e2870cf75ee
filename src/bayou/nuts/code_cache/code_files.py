"""Files of machine code in the user's cache folder, so that a later process compiles nothing.

A file is named by a digest of all that its code depends on: the computation, the versions of the
libraries and the processor. Files are written atomically, so that processes may share the folder,
and start with a digest of their content, so that a damaged one counts as none. The environment
variable ``BAYOU_CODE_CACHE`` names another folder, or "off" for none.
"""

from __future__ import annotations

import hashlib
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bayou.storage.atomic_write import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable

_logger = logging.getLogger(__name__)

# The files that are kept, some 100 kB each: those that were used last.
MOST_FILES = 500
_DIGEST_LENGTH = 64


def code_key(parts: Iterable[str], libraries: Iterable[str]) -> str:
    """Return the name of the code of a computation, on this processor with these libraries.

    Parameters
    ----------
    parts : iterable of str
        What is computed.
    libraries : iterable of str
        Distributions whose versions the code depends on, besides bayou's.
    """
    import llvmlite.binding as llvm

    versions = [f"{name} {version(name)}" for name in ("bayou", *libraries)]
    host = [llvm.get_process_triple(), llvm.get_host_cpu_name()]
    features = llvm.get_host_cpu_features().flatten()
    return _digest("\n".join([*versions, *host, features, *parts]).encode())


def read_code(key: str) -> bytes | None:
    """Return the code that was written under a key; None if there is none, or it is damaged."""
    folder = _folder()
    if folder is None:
        return None
    file = folder / key
    try:
        content = file.read_bytes()
        digest, code = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH:]
        if digest != _digest(code).encode():
            return None
        # Used last.
        os.utime(file)
    except OSError:
        return None
    return code


def write_code(key: str, code: bytes) -> None:
    """Write code under a key; where that is not possible, later processes compile it again."""
    folder = _folder()
    if folder is None:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(folder / key, _digest(code).encode() + code)
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST_FILES]:
            file.unlink(missing_ok=True)
    except OSError as error:
        _logger.info("Machine code is not kept: %s", error)


def _folder() -> Path | None:
    named = os.environ.get("BAYOU_CODE_CACHE")
    if named == "off":
        return None
    if named:
        return Path(named)
    import pooch

    return Path(pooch.os_cache("bayou")) / "code"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
