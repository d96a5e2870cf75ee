"""Checkpoints of a stochastic fit: the files from which it continues as if it had never stopped.

A checkpoint contains the state after the last chunk of steps and the record of each chunk before
it. Everything else is a function of the seeds, and is computed again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import path_of
from bayou.storage.safetensors_file import read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bayou.fitting.stochastic.fit_state import FitState

    # The names and values that tell fits apart, as JSON has them.
    type Identity = dict[str, Any]


@dataclass
class Checkpoint:
    """The file that the progress of a fit is written to.

    Attributes
    ----------
    path : Path
        The file.
    seconds : float
        The shortest time between two writes.
    identity : dict of str to (str, int, float, list or None)
        The model, data and options of the fit: a checkpoint of another identity is not resumed.
    recorded : dict of str to ndarray, or None
        The arrays that an earlier run wrote, None if there was none.
    last_write : float
        The time of the last write, by :func:`time.monotonic`.
    """

    path: Path
    seconds: float
    identity: Identity
    recorded: dict[str, NDArray[Any]] | None = None
    last_write: float = field(default_factory=time.monotonic)

    def write_if_due(self, progress: FitState) -> None:
        """Write the progress if the last write is long enough ago."""
        if time.monotonic() - self.last_write >= self.seconds:
            self.write(progress)

    def write(self, progress: FitState) -> None:
        """Write the progress."""
        write_arrays(self.path, progress.to_arrays(), self.identity)
        self.last_write = time.monotonic()


def open_checkpoint(
    path: str | Path, seconds: float, resume: bool, identity: Identity
) -> Checkpoint:
    """Return the checkpoint of a fit, with what an earlier run wrote to it.

    Parameters
    ----------
    path : str or Path
        The file.
    seconds : float
        The shortest time between two writes.
    resume : bool
        Whether to continue from the file if it exists.
    identity : dict
        The model, data and options of the fit. A ``random_seed`` of None becomes that of the file,
        or a new one.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If the file exists and is not to be resumed, or is the
        checkpoint of another fit.
    """
    file = path_of("checkpoint", path)
    if not file.parent.is_dir():
        raise FileNotFoundError(
            f"`checkpoint` must be a file in an existing folder, got {str(path)!r}.\n"
            "Hint: make the folder first."
        )
    if not file.exists():
        if identity["random_seed"] is None:
            identity = identity | {"random_seed": np.random.SeedSequence().entropy}
        return Checkpoint(file, seconds, identity)
    if not resume:
        raise ValueError(
            f"`checkpoint` must be a new file unless `resume=True`, got {str(path)!r}.\n"
            "Hint: pass resume=True to continue from it, or remove the file."
        )
    arrays, recorded_identity = read_arrays(file, "checkpoint")
    if identity["random_seed"] is None:
        identity = identity | {"random_seed": recorded_identity.get("random_seed")}
    if "rotated" not in recorded_identity:
        # Written by bayou 0.1, where "auto" alone was rotated. It goes on in its own coordinates.
        identity = identity | {"rotated": recorded_identity.get("method") == "auto"}
        recorded_identity |= {"rotated": identity["rotated"]}
    for name, value in identity.items():
        recorded = recorded_identity.get(name)
        if recorded != value:
            raise ValueError(
                f"`checkpoint` must be of the same fit to resume, got another {name}: "
                f"{recorded!r} in the file, {value!r} now.\n"
                "Hint: pass the arguments that the fit was started with, or another path."
            )
    return Checkpoint(file, seconds, identity, arrays)
