"""Checkpoints of a stochastic fit: what it takes to go on as if it had never stopped.

A checkpoint holds the state after the last chunk of steps and what each chunk before it ended with.
Everything else is a function of the seeds, and is found again the same way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.storage.safetensors_file import read_arrays, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.stochastic.schedule import Progress


@dataclass
class Checkpoint:
    """A file that a fit is kept in.

    Parameters
    ----------
    path : Path
        The file.
    seconds : float
        The least time between two writes.
    identity : dict of str to (str, int, float or None)
        What the fit is of: a checkpoint that says otherwise is refused.
    """

    path: Path
    seconds: float
    identity: dict[str, Any]
    last_write: float = field(default_factory=time.monotonic)

    def keep(self, progress: Progress, *, now: bool = False) -> None:
        """Write the progress, if it is time to."""
        if not now and time.monotonic() - self.last_write < self.seconds:
            return
        state = jax.tree.leaves(progress.state)
        means = [jax.tree.leaves(mean) for mean in progress.means]
        arrays = {f"state {index}": np.asarray(leaf) for index, leaf in enumerate(state)}
        arrays |= {
            f"mean {index}": np.stack(leaves)
            for index, leaves in enumerate(zip(*means, strict=True))
        }
        arrays |= {
            "losses": np.concatenate(progress.losses),
            "rates": np.concatenate(progress.rates),
            "counts": np.array(progress.counts),
        }
        write_arrays(self.path, arrays, self.identity)
        self.last_write = time.monotonic()


def open_checkpoint(
    path: str | Path, seconds: float, resume: bool, identity: dict[str, Any]
) -> tuple[Checkpoint, dict[str, NDArray[Any]] | None]:
    """Return the checkpoint of a fit, and what it holds already.

    Parameters
    ----------
    path : str or Path
        The file.
    seconds : float
        The least time between two writes.
    resume : bool
        Whether there may be something to go on from.
    identity : dict
        What the fit is of. A ``random_seed`` of None is that of the file, or a new one.

    Raises
    ------
    ValueError
        If the file is there and is not to be gone on from, or is of another fit.
    """
    place = Path(path)
    if not place.parent.is_dir():
        raise ValueError(
            f"`checkpoint` must be a file in a folder that is there, got {str(path)!r}.\n"
            "Hint: make the folder first."
        )
    if not place.exists():
        if identity["random_seed"] is None:
            identity = identity | {"random_seed": np.random.SeedSequence().entropy}
        return Checkpoint(place, seconds, identity), None
    if not resume:
        raise ValueError(
            f"`checkpoint` must be a new file unless `resume=True`, got {str(path)!r}.\n"
            "Hint: pass resume=True to go on from it, or remove the file."
        )
    arrays, before = read_arrays(place, "checkpoint")
    if identity["random_seed"] is None:
        identity = identity | {"random_seed": before.get("random_seed")}
    for name, value in identity.items():
        if before.get(name) != value:
            raise ValueError(
                f"`checkpoint` must be of the same fit to resume, got another {name}: "
                f"{before.get(name)!r} in the file, {value!r} now.\n"
                "Hint: pass what it was begun with, or another path."
            )
    return Checkpoint(place, seconds, identity), arrays
