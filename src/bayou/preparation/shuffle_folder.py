"""The folder of an unfinished shuffle: whose it is, whether it can be resumed, and its end."""

from __future__ import annotations

import json
import shutil
import zlib
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bayou.feeding.read import read_tables
from bayou.preparation.shuffle_buckets import explain_full_disk
from bayou.preparation.shuffle_plan import Progress
from bayou.sources.files.store import MANIFEST, write_json
from bayou.storage.atomic_write import flush_to_disk, is_temporary
from bayou.storage.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bayou.sources.base.field import Table
    from bayou.sources.base.source import Source

PROGRESS = "progress.json"
# The rows of a block that are compared with those of the source when a shuffle resumes: enough to
# tell two files apart, and read in a moment.
COMPARED_ROWS = 1000


@dataclass(frozen=True)
class Identity:
    """The source and the arguments of a shuffle, saved with its progress and in the store.

    Attributes
    ----------
    random_seed : int or None
        Decides the order; None before one is drawn.
    memory : int
        The bytes of memory, which decide the sizes of buckets.
    num_rows : int or None
        The number of rows; None before they are counted.
    source : str
        The class of the source.
    fields : int
        A checksum of names, dtypes, shapes and categories.
    first_rows : list of int
        Checksums of the first rows of the first and the last block.
    """

    random_seed: int | None
    memory: int
    num_rows: int | None
    source: str
    fields: int
    first_rows: list[int]

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Return the identity that :meth:`to_json` wrote."""
        return cls(**{name.replace(" ", "_"): value for name, value in saved.items()})

    def to_json(self) -> dict[str, object]:
        """Return the identity with the keys that stores and unfinished shuffles have on disk."""
        return {name.replace("first_rows", "first rows"): v for name, v in asdict(self).items()}


def identify(source: Source, random_seed: int | None, memory: int) -> Identity:
    """Return the identity of a shuffle of a source.

    Raises
    ------
    TypeError
        If a field is of text or of objects.
    ValueError
        If the source has no rows or no fields.
    """
    fields = list(source.fields.values())
    if not fields or source.num_rows == 0:
        raise _empty_source_error("no rows" if fields else "no fields")
    refused = [field.name for field in fields if field.dtype.kind not in "biufcmM"]
    if refused:
        raise TypeError(
            f"`source` must have fields of numbers, dates, booleans or categories, got {refused} "
            "of text or objects.\nHint: leave them out with by.scan(..., columns=[...]), or make "
            "them categories."
        )
    described = [(field.name, field.dtype.str, field.shape, field.categories) for field in fields]
    blocks = sorted({0, len(source.blocks) - 1})
    return Identity(
        random_seed=random_seed,
        memory=memory,
        num_rows=source.num_rows,
        source=type(source).__name__,
        fields=zlib.crc32(repr(described).encode()),
        first_rows=[_first_rows_checksum(source, block) for block in blocks],
    )


def complete_identity(identity: Identity, source: Source) -> Identity:
    """Draw the seed and count the rows of a new shuffle, as far as they are not known.

    Raises
    ------
    ValueError
        If there are no rows.
    """
    if identity.random_seed is None:
        # 128 bits, which are recorded in the store.
        entropy: Any = np.random.SeedSequence().entropy
        identity = replace(identity, random_seed=entropy)
    if identity.num_rows is None:
        narrowest = min(source.fields.values(), key=lambda field: field.row_bytes).name
        num_rows = sum(len(table[narrowest]) for table in read_tables(source, [narrowest]))
        if num_rows == 0:
            raise _empty_source_error("no rows")
        identity = replace(identity, num_rows=num_rows)
    return identity


def check_resumed(identity: Identity, begun: Identity, folder: Path) -> None:
    """Check that an unfinished shuffle is of the same rows and arguments as the present call.

    A seed and a number of rows that the call leaves open are those of the unfinished shuffle.

    Raises
    ------
    ValueError
        If something differs; says what.
    """
    before = begun.to_json()
    for name, value in identity.to_json().items():
        is_open = value is None and name in {"random_seed", "num_rows"}
        if not is_open and before[name] != value:
            raise ValueError(
                f"`out` has an unfinished shuffle, which must be resumed as it was begun, got "
                f"another {name}: {before[name]!r} then, {value!r} now.\n"
                f"Hint: pass the same source and arguments, or remove {folder}."
            )


@contextmanager
def claim_folder(path: Path) -> Iterator[Path]:
    """Create or enter the folder of the unfinished shuffle of a path, for this process alone.

    Raises
    ------
    FileExistsError
        If the path exists, or a shuffle into it runs.
    FileNotFoundError
        If the folder that the path is in does not exist.
    OSError
        If the folder cannot be created.
    """
    folder = path.with_name(f"{path.name}.partial")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`out` must be in a folder that exists, got {str(path)!r}.\n"
            "Hint: create the folder, or check the name."
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"`out` must be where folders can be created, got {str(path)!r}: {error.strerror}.\n"
            "Hint: pass another folder, or change the permissions."
        ) from error
    busy = FileExistsError(
        f"`out` must not be shuffled into twice at the same time, got {str(path)!r}, "
        "where a shuffle is running.\nHint: wait for it, or pass another folder."
    )
    with locked(path, busy):
        try:
            # Again, since another process may have finished a shuffle before the lock was free.
            check_path_is_free(path)
            yield folder
        finally:
            # An empty folder, of a shuffle that failed before its first row.
            with suppress(OSError):
                folder.rmdir()


def read_unfinished(folder: Path) -> tuple[Identity, Progress | None] | None:
    """Return the identity and the progress of the shuffle in a folder; None if there is none.

    The progress is None if only the end is missing: the manifest is written.

    Raises
    ------
    FileExistsError
        If the folder has other files.
    """
    if (folder / MANIFEST).exists():
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Identity.from_json(manifest["made"]), None
    if (folder / PROGRESS).exists():
        saved = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        return Identity.from_json(saved["made"]), Progress(**saved["progress"])
    # A first save that was cut off leaves the file that was to be renamed.
    if any(not is_temporary(file, folder / PROGRESS) for file in folder.iterdir()):
        raise FileExistsError(
            f"`out` must leave {str(folder)!r} to the shuffle, got a folder with other files "
            "there.\nHint: pass another folder, or remove the folder."
        )
    return None


def save_progress(folder: Path, identity: Identity, progress: Progress) -> None:
    """Replace the saved progress of a shuffle, which is on the disk when this returns."""
    with explain_full_disk(folder / PROGRESS):
        saved = {"made": identity.to_json(), "progress": asdict(progress)}
        write_json(folder / PROGRESS, saved)


def finish_folder(folder: Path, path: Path) -> None:
    """Rename the folder of a shuffle, whose manifest is written, to the path of the store."""
    for file in folder.iterdir():
        if file.name == PROGRESS or any(
            is_temporary(file, folder / n) for n in (PROGRESS, MANIFEST)
        ):
            file.unlink()
    flush_to_disk(folder)
    folder.rename(path)
    flush_to_disk(path.parent)


def check_path_is_free(path: Path) -> None:
    """Check that there is nothing at a path yet."""
    if path.exists():
        raise FileExistsError(
            f"`out` must not exist yet, got {str(path)!r}, which does.\n"
            "Hint: open it with by.scan if it is the store, else pass another folder."
        )


def check_disk_space(path: Path, needed: int) -> None:
    """Check that the disk of a path has as many free bytes as a shuffle needs."""
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(
            f"`out` must be on a disk with {_size_text(needed)} free for the shuffle, got "
            f"{_size_text(free)} at {str(path)!r}.\n"
            "Hint: free some space, or pass a folder on another disk."
        )


def _first_rows_checksum(source: Source, block: int) -> int:
    names = list(source.fields)
    # A block without rows yields no table.
    table: Table = next(iter(source.read(block, names)), {})
    checksum = 0
    for name in names if table else ():
        values = np.ascontiguousarray(table[name][:COMPARED_ROWS])
        checksum = zlib.crc32(memoryview(values.reshape(-1).view(np.uint8)), checksum)
    return checksum


def _empty_source_error(received: str) -> ValueError:
    return ValueError(
        f"`source` must have rows to shuffle, got a source with {received}.\n"
        "Hint: check the path or the query of the source."
    )


def _size_text(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.2f} GB" if num_bytes >= 10**8 else f"{num_bytes / 1e6:,.2f} MB"
