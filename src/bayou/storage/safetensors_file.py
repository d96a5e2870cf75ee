"""Named arrays and a JSON description of them in one safetensors file, which cannot run code.

The description is JSON in the metadata of the file, under the key "bayou". A file is written by
:func:`bayou.storage.atomic_write.write_atomically`: it is there complete, or not at all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bayou.arguments import path_of
from bayou.storage.atomic_write import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


def write_arrays(
    path: str | Path, arrays: Mapping[str, NDArray[np.generic]], description: Mapping[str, object]
) -> None:
    """Write arrays and a description of them, or replace the file that is there.

    Parameters
    ----------
    path : str or Path
        The file.
    arrays : mapping of str to ndarray, any shapes
        The arrays, of numbers or booleans. They need not be contiguous. An array without axes is
        written as one of shape (1,).
    description : mapping of str to JSON values
        What else the file is to hold.

    Raises
    ------
    IsADirectoryError
        If the path is a folder.
    TypeError
        If it is no path.
    """
    file = path_of("path", path)
    if file.is_dir():
        raise IsADirectoryError(
            f"`path` must be a file, got {str(path)!r}, which is a folder.\n"
            "Hint: name a file in it."
        )
    # Safetensors writes the buffer of an array as it is, whatever its strides are.
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(plain, metadata={"bayou": json.dumps(dict(description))})
    write_atomically(file, content)


def read_arrays(
    path: str | Path, argument: str = "path"
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the file that :func:`write_arrays` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    argument : str, default "path"
        The name of the user's argument, for errors.

    Returns
    -------
    arrays : dict of str to ndarray
        The arrays, of the dtypes and shapes that were written.
    description : dict
        The description.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If it is no path.
    ValueError
        If the file was not written by bayou, or is damaged.
    """
    file = path_of(argument, path)
    if not file.is_file():
        raise FileNotFoundError(
            f"`{argument}` must be a file that bayou wrote, got {str(path)!r}, which is not a "
            "file.\nHint: check the name, and the folder that the program runs in."
        )
    try:
        with safe_open(file, framework="numpy") as opened:
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            description: dict[str, Any] = json.loads((opened.metadata() or {})["bayou"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"`{argument}` must be a file that bayou wrote, got {str(path)!r}, which cannot be "
            f"read ({error}).\nHint: it was written by another program, or is damaged."
        ) from error
    return arrays, description
