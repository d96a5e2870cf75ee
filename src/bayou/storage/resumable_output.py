"""A file or store that is written bit by bit: it appears whole, and an interrupted run goes on."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.storage.atomic_write import is_beside, sync, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Unfinished:
    """What is written to a place, in a folder beside it until it is complete.

    Parameters
    ----------
    place : Path
        Where it is to be in the end.
    """

    place: Path

    @property
    def folder(self) -> Path:
        """The folder beside the place."""
        return self.place.with_name(f"{self.place.name}.partial")

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def begun(self) -> dict[str, Any] | None:
        """Return what was noted last; None if nothing is begun.

        Raises
        ------
        ValueError
            If the place is taken, or the folder beside it by something else.
        """
        # A link to nothing is taken too, though nothing exists there.
        if os.path.lexists(self.place):
            raise ValueError(
                f"`out` must be a new path, got {str(self.place)!r}, which is there already.\n"
                "Hint: choose another one, or remove it first."
            )
        if not os.path.lexists(self.folder) or self._is_bare():
            return None
        try:
            noted: dict[str, Any] = json.loads(self._manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"`out` must leave {str(self.folder)!r} to what is unfinished, got a folder "
                f"without a manifest ({error}).\nHint: remove the folder, or choose another path."
            ) from error
        return noted

    def _is_bare(self) -> bool:
        """Whether the folder holds nothing but what an interruption left before the first note."""
        return self.folder.is_dir() and all(
            is_beside(path, self._manifest) for path in self.folder.iterdir()
        )

    def note(self, manifest: Mapping[str, Any]) -> None:
        """Note what is done, so that a later run goes on from there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._manifest, json.dumps(dict(manifest), indent=1).encode())

    def finish(self, part: Path) -> None:
        """Move what is complete to its place, and leave nothing beside it."""
        sync(part)
        part.replace(self.place)
        sync(self.place.parent)
        shutil.rmtree(self.folder)
