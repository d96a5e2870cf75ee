"""The external shuffle: all rows of a source into a store, in random order, in bounded memory.

The disk sees each row written twice and, besides the source, read once; it holds little more than
one copy of the rows at any time.
"""

from __future__ import annotations

import json
import re
import shutil
import zlib
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from bayou.arguments import whole_number
from bayou.preparation.shuffle_buckets import (
    Plan,
    Progress,
    begin,
    bytes_needed,
    gather,
    settle,
    spread,
    told_of_a_full_disk,
)
from bayou.sampling.uniform import stream_key
from bayou.sources.files.store import (
    FORMAT,
    MANIFEST,
    VERSION,
    Store,
    field_entry,
    open_store,
    write_json,
)
from bayou.sources.open import source as as_source
from bayou.storage.atomic_write import sync
from bayou.storage.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bayou.sources.base.source import Source

PROGRESS = "progress.json"
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
# What is compared of a source when a shuffle goes on, besides its fields and number of rows.
COMPARED_ROWS = 1000


def shuffle(
    source: Any,
    path: str | Path,
    *,
    random_seed: int | None = None,
    memory: int | str = "1 GiB",
    progressbar: bool = True,
) -> Store:
    """Write all rows of a source in random order, into a store that then reads at disk speed.

    Any rows and any number of them: the order is a full permutation, whatever the memory. Rows
    of a source that is sorted, such as by time, are best shuffled once before batches are drawn.

    Parameters
    ----------
    source : Source, or what :func:`bayou.source` takes
        The rows. They are read once, in their order. A source that cannot say how many rows it has
        is read once more to count them.
    path : str or Path
        The folder of the store; it must not exist. The work is done in a folder beside it whose
        name ends in ``.partial``, which becomes the store at the end.
    random_seed : int, optional
        Decides the order, together with the number of rows. Drawn if None.
    memory : int or str
        The bytes that the shuffle may hold, or a text such as ``"512 MiB"`` or ``"2 GB"``. The
        order does not depend on it.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    Store
        The rows, opened.

    Raises
    ------
    FileExistsError
        If there is something at the path.
    TypeError
        If a field is of text or of objects.
    ValueError
        If an argument is wrong, the source has no rows or yields other rows than it says, or an
        unfinished shuffle at the path is of another source or with other arguments.
    OSError
        If the disk has no room, at the beginning or later.

    Notes
    -----
    A shuffle that was interrupted, by an error, a full disk or a loss of power, goes on from where
    it was when called again with the same arguments. Whether the source is the same is seen from
    its fields, its number of rows and its first rows.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> rows = by.source({"day": np.arange(1000), "late": np.arange(1000) % 7 == 0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = by.shuffle(rows, Path(folder) / "late", random_seed=1, progressbar=False)
    ...     days = store.take(np.arange(1000), ["day"])["day"]
    >>> bool((np.sort(days) == np.arange(1000)).all())
    True
    """
    limit = _memory_bytes(memory)
    if random_seed is not None:
        hint = "pass a seed, or None for a new one."
        random_seed = whole_number("random_seed", random_seed, 0, hint)
    place = Path(path).absolute()
    _check_free(place)
    rows = as_source(source)
    made = {"random_seed": random_seed, "memory": limit} | _seen_of(rows)
    with _claimed(place) as folder:
        before = _unfinished(folder)
        made = _whole(made, rows) if before is None else _same(made, before[0], folder)
        plan = _plan(rows, made)
        progress = begin(plan) if before is None else before[1]
        if progress is not None:
            _check_space(place, bytes_needed(plan, progress))
            _run(rows, plan, progress, folder, made, progressbar)
        _finish(folder, place)
    return open_store(place)


def _run(
    source: Source,
    plan: Plan,
    progress: Progress,
    folder: Path,
    made: dict[str, Any],
    shown: bool,
) -> None:
    """Do what is left of both passes, and write the manifest."""

    def keep() -> None:
        with told_of_a_full_disk(folder / PROGRESS):
            write_json(folder / PROGRESS, {"made": made, "progress": asdict(progress)})

    keep()
    try:
        settle(plan, progress, folder)
        if progress.rows_read < plan.num_rows:
            with _bar("reading", plan.num_rows, progress.rows_read, shown) as advance:
                spread(source, plan, progress, folder, keep, advance)
        written = min(progress.buckets_done * plan.bucket_rows, plan.num_rows)
        with _bar("writing", plan.num_rows, written, shown) as advance:
            gather(plan, progress, folder, keep, advance)
    except BaseException:
        # What was done since the progress was last kept is kept too, where the disk lets it.
        with suppress(OSError, ValueError):
            settle(plan, progress, folder)
            keep()
        if progress.rows_read == 0:
            shutil.rmtree(folder)
        raise
    fields = [
        field_entry(index, field) | {"bytes": file.stat().st_size, "crc32": checksum}
        for index, (field, file, checksum) in enumerate(
            zip(plan.fields, plan.files(folder), progress.checksums, strict=True)
        )
    ]
    manifest = {"format": FORMAT, "version": VERSION, "num_rows": plan.num_rows}
    with told_of_a_full_disk(folder / MANIFEST):
        write_json(folder / MANIFEST, manifest | {"fields": fields, "made": made})


def _finish(folder: Path, place: Path) -> None:
    """Make the folder of a shuffle whose manifest is written the store."""
    (folder / PROGRESS).unlink(missing_ok=True)
    sync(folder)
    folder.rename(place)
    sync(place.parent)


def _plan(source: Source, made: dict[str, Any]) -> Plan:
    fields = tuple(source.fields.values())
    plan = Plan(fields, made["num_rows"], _key(made["random_seed"]), made["memory"])
    if plan.memory < plan.least_memory:
        raise ValueError(
            f"`memory` must be at least {plan.least_memory} bytes for {plan.num_rows:,} rows of "
            f"{plan.row_bytes} bytes, got {plan.memory}.\nHint: pass a larger memory."
        )
    return plan


def _key(seed: int) -> np.uint64:
    """Return the key of a shuffle: none that a fit draws rows with, or an epoch could undo it."""
    return stream_key(seed, *b"by.shuffle")


def _seen_of(source: Source) -> dict[str, Any]:
    """Return what a source can be told by: its kind, fields, number of rows and first rows."""
    fields = list(source.fields.values())
    if not fields or source.num_rows == 0:
        raise _empty("no rows" if fields else "no fields")
    refused = [field.name for field in fields if field.dtype.kind not in "biufcmM"]
    if refused:
        raise TypeError(
            f"`source` must have fields of numbers, dates, booleans or categories, got {refused} "
            "of text or objects.\nHint: leave them out with by.scan(..., columns=[...]), or make "
            "them categories."
        )
    blocks = sorted({0, len(source.blocks) - 1})
    described = [(field.name, field.dtype.str, field.shape, field.categories) for field in fields]
    return {
        "num_rows": source.num_rows,
        "source": type(source).__name__,
        "fields": zlib.crc32(repr(described).encode()),
        "first rows": [_first_rows(source, block, list(source.fields)) for block in blocks],
    }


def _first_rows(source: Source, block: int, names: list[str]) -> int:
    """Return a checksum of the first rows of a block."""
    checksum = 0
    for table in source.read(block, names):
        for name in names:
            values = np.ascontiguousarray(table[name][:COMPARED_ROWS])
            checksum = zlib.crc32(memoryview(values.reshape(-1).view(np.uint8)), checksum)
        break
    return checksum


def _whole(made: dict[str, Any], source: Source) -> dict[str, Any]:
    """Fill in what a new shuffle was not told: its seed and the number of rows."""
    if made["random_seed"] is None:
        made = made | {"random_seed": np.random.SeedSequence().entropy}
    if made["num_rows"] is None:
        narrowest = min(source.fields.values(), key=lambda field: field.row_bytes).name
        num_rows = sum(
            len(table[narrowest])
            for block in range(len(source.blocks))
            for table in source.read(block, [narrowest])
        )
        if num_rows == 0:
            raise _empty("no rows")
        made = made | {"num_rows": num_rows}
    return made


def _empty(what: str) -> ValueError:
    return ValueError(
        f"`source` must have rows to shuffle, got a source with {what}.\n"
        "Hint: check the path or the query that it was made of."
    )


def _same(made: dict[str, Any], before: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what an unfinished shuffle is of, if it is of what is asked for now."""
    for name, value in made.items():
        adopted = value is None and name in {"random_seed", "num_rows"}
        if not adopted and before.get(name) != value:
            raise ValueError(
                f"`path` holds an unfinished shuffle that must be gone on with as it was begun, "
                f"got another {name}: {before.get(name)!r} then, {value!r} now.\n"
                f"Hint: pass what it was begun with, or remove {folder}."
            )
    return before


def _unfinished(folder: Path) -> tuple[dict[str, Any], Progress | None] | None:
    """Return what the shuffle in a folder is of and how far it is, None where none was begun.

    The progress is None once the manifest is written.
    """
    names = {file.name for file in folder.iterdir()}
    if MANIFEST in names:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["made"], None
    if PROGRESS in names:
        kept = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        return kept["made"], Progress(**kept["progress"])
    if names - {f"{PROGRESS}.new"}:
        raise FileExistsError(
            f"`path` must leave {str(folder)!r} to the shuffle, got a folder with other files "
            "there.\nHint: pass another path, or remove the folder."
        )
    return None


@contextmanager
def _claimed(place: Path) -> Iterator[Path]:
    """Make or enter the folder of an unfinished shuffle, and keep other processes out of it."""
    folder = place.with_name(f"{place.name}.partial")
    if not place.parent.is_dir():
        raise FileNotFoundError(
            f"`path` must be in a folder that exists, got {str(place)!r}.\n"
            "Hint: make the folder, or check the name."
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"`path` must be where folders can be made, got {str(place)!r}: {error.strerror}.\n"
            "Hint: pass another path, or change the permissions."
        ) from error
    busy = FileExistsError(
        f"`path` must not be shuffled into twice at the same time, got {str(place)!r}, "
        "where a shuffle is running.\nHint: wait for it, or pass another path."
    )
    with locked(place, busy):
        try:
            _check_free(place)
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()  # Only where nothing was begun, which leaves it empty.


def _check_free(place: Path) -> None:
    if place.exists():
        raise FileExistsError(
            f"`path` must not exist yet, got {str(place)!r}, which does.\n"
            "Hint: open it with by.scan if it is the store, else pass another path."
        )


def _check_space(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place.parent).free
    if free < needed:
        raise OSError(
            f"`path` must be on a disk with {_size(needed)} free for the shuffle, got "
            f"{_size(free)} at {str(place)!r}.\nHint: make room, or pass a path on another disk."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 10**8 else f"{count / 1e6:,.2f} MB"


def _memory_bytes(memory: int | str) -> int:
    """Read a size in bytes: a whole number, or a text with a unit."""
    hint = 'pass a number of bytes, or a text with its unit, such as "512 MiB" or "1000 B".'
    if not isinstance(memory, str):
        return whole_number("memory", memory, 1, hint)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?|)B\s*", memory)
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if size < 1:
        raise ValueError(f"`memory` must be a size in bytes, got {memory!r}.\nHint: {hint}")
    return size


@contextmanager
def _bar(label: str, num_rows: int, done: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar of rows; yield a function that takes the rows just done."""
    columns = (
        TextColumn("shuffle: {task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} rows"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, disable=not shown) as bar:
        task = bar.add_task(label, total=num_rows, completed=done)
        yield partial(bar.advance, task)
