"""Arrays and what is said of them in one file: safetensors, which cannot run code, with JSON.

A file is written whole or not at all: beside its place first, then flushed to the disk, then
renamed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bayou.storage.atomic_write import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def write_arrays(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]
) -> None:
    """Write arrays and a description of them, in place of what was there.

    Parameters
    ----------
    path : str or Path
        The file.
    arrays : mapping of str to ndarray
        What is written.
    description : mapping of str to what JSON can hold
        What is said of it.
    """
    place = Path(path)
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(plain, metadata={"bayou": json.dumps(dict(description))})
    write_whole(place, content)


def read_arrays(
    path: str | Path, argument: str = "path"
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what :func:`write_arrays` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    argument : str, default "path"
        What the user calls it, for errors.

    Returns
    -------
    arrays : dict of str to ndarray
    description : dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file was not written by bayou, or is damaged.
    """
    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(
            f"`{argument}` must be a file that bayou wrote, got {str(path)!r}, which is none.\n"
            "Hint: check the name, and the folder that the program runs in."
        )
    try:
        with safe_open(place, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description: dict[str, Any] = json.loads((file.metadata() or {})["bayou"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"`{argument}` must be a file that bayou wrote, got {str(path)!r}, which cannot be "
            f"read ({error}).\nHint: it was written by another program, or is damaged."
        ) from error
    return arrays, description
