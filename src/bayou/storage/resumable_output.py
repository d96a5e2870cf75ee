"""A file or folder that is written part by part, and that an interrupted run can go on with.

The work is done in a folder beside the path, ``{name}.partial``. Its manifest says what is done; at
the end, the complete file or folder is moved to the path and the folder beside it is removed.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.storage.atomic_write import flush_to_disk, is_temporary, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class ResumableOutput:
    """An output path, and the folder beside it that holds the output until it is complete.

    Parameters
    ----------
    path : Path
        The path of the complete output. Its parent folders are made when they are needed.
    """

    path: Path

    @property
    def folder(self) -> Path:
        """The folder beside the path."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest that :meth:`write_manifest` wrote last, None if there is none yet.

        Raises
        ------
        ValueError
            If the path exists already, or the folder beside it is not one of an earlier run.
        """
        # `lexists`: a symbolic link to nothing is in the way too.
        if os.path.lexists(self.path):
            raise ValueError(
                f"`out` must be a new path, got {str(self.path)!r}, which is there already.\n"
                "Hint: choose another one, or remove it first."
            )
        if not os.path.lexists(self.folder) or self._is_empty():
            return None
        try:
            manifest: dict[str, Any] = json.loads(self._manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"`out` must leave {str(self.folder)!r} to what is unfinished, got a folder "
                f"without a manifest ({error}).\nHint: remove the folder, or choose another path."
            ) from error
        return manifest

    def _is_empty(self) -> bool:
        """Whether the folder has nothing but temporary files of the first manifest."""
        return self.folder.is_dir() and all(
            is_temporary(path, self._manifest) for path in self.folder.iterdir()
        )

    def write_manifest(self, manifest: Mapping[str, object]) -> None:
        """Record what is done, so that a later run goes on from there.

        Parameters
        ----------
        manifest : mapping of str to JSON values
            The record, in place of the one before.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._manifest, json.dumps(dict(manifest), indent=1).encode())

    def finish(self, part: Path) -> None:
        """Move the complete output to the path, and remove the folder beside it.

        Parameters
        ----------
        part : Path
            The file or folder that is complete, in :attr:`folder`.
        """
        flush_to_disk(part)
        part.replace(self.path)
        flush_to_disk(self.path.parent)
        shutil.rmtree(self.folder)
