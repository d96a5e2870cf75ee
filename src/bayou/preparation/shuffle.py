"""`by.shuffle`: all rows of a source in random order, in a store on disk, in bounded memory.

The source is read once, and each row is written twice: to a bucket, and to the store
(`shuffle_buckets`). The disk holds little more than one copy of the rows at any time. The work is
done in a folder beside the store (`shuffle_folder`), from which an interrupted shuffle resumes.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from bayou.arguments import check_progressbar, memory_bytes, path_of, seed_number
from bayou.errors import warn
from bayou.preparation.shuffle_buckets import (
    explain_full_disk,
    fill_buckets,
    restore_files,
    write_store,
)
from bayou.preparation.shuffle_folder import (
    Identity,
    check_disk_space,
    check_path_is_free,
    check_resumed,
    claim_folder,
    complete_identity,
    finish_folder,
    identify,
    read_unfinished,
    save_progress,
)
from bayou.preparation.shuffle_plan import Plan, Progress, disk_bytes, start_progress
from bayou.progress import row_progress
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
from bayou.sources.open import as_source

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from bayou.arguments import RandomSeed
    from bayou.sources.base.source import Source


def shuffle(
    source: object,
    out: str | Path | None = None,
    *,
    random_seed: RandomSeed | None = None,
    memory: int | str = "1 GiB",
    progressbar: bool = True,
    path: str | Path | None = None,
) -> Store:
    """Write all rows of a source in random order into a store, a folder of memory-mapped files.

    The order is a full permutation of the rows, whatever the memory. Use it once, before drawing
    batches, on a source that is larger than memory and sorted, such as by time or by group. Any row
    of a store can be read by its number, so that every batch is a random sample.

    Parameters
    ----------
    source : Source, or an object that :func:`bayou.source` takes
        The rows: fields of numbers, dates, booleans or categories. They are read once, in their
        order, and once more to count them if the source does not know its number of rows.
    out : str or Path
        The folder of the store, which must not exist. The work is done in the folder
        ``{out}.partial``, which is renamed at the end.
    random_seed : int, sequence of int, Generator, RandomState or None, default None
        The seed and the number of rows decide the order. None draws a new seed, which is recorded
        in the store.
    memory : int or str, default "1 GiB"
        The largest amount of memory to use, in bytes or as a text with a unit, such as "512 MiB" or
        "2 GB". The order does not depend on it.
    progressbar : bool, default True
        Whether to show progress bars.
    path : str or Path, optional
        The earlier name of `out`.

    Returns
    -------
    Store
        A source of the rows in random order, which can read any row by its number.

    Raises
    ------
    FileExistsError
        If `out` exists, or another process is writing to it.
    FileNotFoundError
        If the folder that `out` is in does not exist.
    OSError
        If the disk is full, or has not enough space to begin with.
    TypeError
        If a field is of text or of objects, or `out` is missing.
    ValueError
        If an argument is out of range, the source has no rows or not as many as it says, or an
        unfinished shuffle into `out` has another source or other arguments.

    Warns
    -----
    FutureWarning
        If `path` is passed.

    Notes
    -----
    To resume a shuffle that was interrupted, by an error, a full disk or a power cut, call it again
    with the same arguments; `random_seed` may be left out. The source is compared with that of the
    first call by its fields, its number of rows and its first rows.

    The method is a distribution sort on the key of a keyed permutation (a Feistel network, see
    `bayou.sampling.permutation`), in two passes.

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
    check_progressbar(progressbar)
    identity_arguments = seed_number(random_seed), memory_bytes(memory)
    target = _store_folder(out, path)
    check_path_is_free(target)
    rows = as_source(source, "source")
    identity = identify(rows, *identity_arguments)
    with claim_folder(target) as folder:
        unfinished = read_unfinished(folder)
        if unfinished is None:
            identity = complete_identity(identity, rows)
            plan = _plan(rows, identity)
            progress: Progress | None = start_progress(plan)
        else:
            begun, progress = unfinished
            check_resumed(identity, begun, folder)
            identity = begun
            plan = _plan(rows, identity)
        if progress is not None:
            check_disk_space(target, disk_bytes(plan, progress))
            _run(rows, plan, progress, folder, identity, progressbar)
        finish_folder(folder, target)
    return open_store(target)


def _store_folder(out: str | Path | None, path: str | Path | None) -> Path:
    """Return the folder of the store, by the present name of the argument or the earlier one."""
    if path is not None:
        warn(
            f"`path` of by.shuffle is now called `out`, as in by.predict, got path={str(path)!r}.\n"
            f"Hint: write out={str(path)!r}.",
            FutureWarning,
        )
    folders = [folder for folder in (out, path) if folder is not None]
    if len(folders) != 1:
        raise TypeError(
            "`out`, the folder of the store, must be passed, and not `path`, its earlier name, got "
            f"out={out!r}, path={path!r}.\nHint: by.shuffle(source, 'rows.store')."
        )
    return path_of("out", folders[0]).absolute()


def _run(
    source: Source,
    plan: Plan,
    progress: Progress,
    folder: Path,
    identity: Identity,
    progressbar: bool,
) -> None:
    """Run what is left of both passes, and write the manifest."""
    save = partial(save_progress, folder, identity, progress)
    save()
    try:
        restore_files(plan, progress, folder)
        if progress.rows_read < plan.num_rows:
            label = "shuffle: reading"
            with row_progress(label, plan.num_rows, progressbar, progress.rows_read) as advance:
                fill_buckets(source, plan, progress, folder, save, advance)
        written = min(progress.buckets_done * plan.bucket_rows, plan.num_rows)
        with row_progress("shuffle: writing", plan.num_rows, progressbar, written) as advance:
            write_store(plan, progress, folder, save, advance)
    except BaseException:
        # Also save the work since the last save. On a full disk, or if files were changed, that
        # fails as well; the first error is the one to raise, and the last save stays.
        with suppress(OSError, ValueError):
            restore_files(plan, progress, folder)
            save()
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
    with explain_full_disk(folder / MANIFEST):
        write_json(folder / MANIFEST, manifest | {"fields": fields, "made": identity.to_json()})


def _plan(source: Source, identity: Identity) -> Plan:
    # Both are known once an identity is complete.
    assert identity.num_rows is not None
    assert identity.random_seed is not None
    key = shuffle_key(identity.random_seed)
    plan = Plan(tuple(source.fields.values()), identity.num_rows, key, identity.memory)
    if plan.memory < plan.least_memory:
        raise ValueError(
            f"`memory` must be at least {plan.least_memory} bytes for {plan.num_rows:,} rows of "
            f"{plan.row_bytes} bytes, got {plan.memory}.\nHint: pass a larger memory."
        )
    return plan


def shuffle_key(seed: int) -> np.uint64:
    """Return the key of the order of a seed.

    No fit draws rows with it: an epoch of the same key would be the same permutation, and could
    bring the rows back into their first order.
    """
    return stream_key(seed, *b"by.shuffle")
