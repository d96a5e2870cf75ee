"""`check_source`: whether a source keeps the contract of `bayou.Source`, for tests of users."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sources import Field
from bayou.sources.open import as_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.sources import Source, Table

# Two reads at the same time are enough to show state that they share.
THREADS = 2


def check_source(source: object, *, pickles: bool = True) -> None:
    """Check that a source keeps the contract of :class:`bayou.Source`.

    Use it in the tests of a source of your own. It checks that

    - ``fields``, ``blocks`` and ``num_rows`` agree with the tables that ``read`` yields;
    - ``read`` returns the same rows each time, for any choice of fields, and to two threads at
      once;
    - ``take`` returns the rows of ``read`` for row numbers that are unsorted, repeated or none, and
      raises IndexError for row numbers out of range;
    - the source can be pickled.

    All rows are in memory several times, so check a source of few rows: some blocks, the last one
    smaller than the others.

    Parameters
    ----------
    source : Source, or object with ``fields``, ``blocks`` and ``read``
        The source.
    pickles : bool, default True
        Whether it must be picklable. Sources are pickled to send them to other processes.

    Raises
    ------
    AssertionError
        If the source breaks a rule; the message has the rule and the value received.

    Examples
    --------
    >>> from bayou.testing import check_source
    >>> check_source(by.source({"x": np.arange(10.0)}))
    """
    checked = as_source(source, "source")
    names = list(checked.fields)
    _check_fields(checked)
    table = _read_blocks(checked, names)
    _check_equal(_read_blocks(checked, names), table, "`read` must return the same rows each time")
    for chosen in (names[::-1], names[:1], names[-1:]):
        expected = {name: table[name] for name in chosen}
        _check_equal(
            _read_blocks(checked, chosen), expected, f"`read` must return the fields {chosen}"
        )
    _check_take(checked, table)
    _check_threads(checked, table)
    if pickles:
        _check_pickle(checked, table)


def _check_fields(source: Source) -> None:
    _require(len(source.fields) > 0, "`fields` must have at least one field, got none")
    fields: dict[str, Any] = dict(source.fields)
    for name, field in fields.items():
        _require(
            isinstance(field, Field) and field.name == name,
            f"`fields` must map names to fields of that name, got {field!r} for {name!r}",
        )
        _require(
            isinstance(field.dtype, np.dtype) and field.dtype.isnative,
            f"`{name}` must have a numpy.dtype in the byte order of this machine, "
            f"got {field.dtype!r}",
        )
        _require(
            field.categories is None or field.dtype == np.int32,
            f"`{name}` has categories, so its dtype must be int32, that of their codes, "
            f"got {field.dtype}",
        )
    sizes = list(source.blocks)
    _require(len(sizes) > 0, "`blocks` must have at least one block, got none")
    known = [size for size in sizes if size is not None]
    if len(known) == len(sizes):
        _require(
            source.num_rows == sum(known),
            f"`num_rows` must be the sum of `blocks`, {sum(known)}, got {source.num_rows}",
        )


def _read_blocks(source: Source, names: Sequence[str]) -> Table:
    """Read all rows, and check each table."""
    pieces: list[Table] = []
    for block, size in enumerate(source.blocks):
        rows = 0
        for table in source.read(block, names):
            _check_table(source, table, names, f"block {block}")
            pieces.append(table)
            rows += len(table[names[0]])
        _require(
            size is None or rows == size,
            f"`read` must yield as many rows of block {block} as `blocks` says, {size}, got {rows}",
        )
    total = sum(len(piece[names[0]]) for piece in pieces)
    _require(
        source.num_rows is None or total == source.num_rows,
        f"the blocks must have as many rows as `num_rows` says, {source.num_rows}, got {total}",
    )
    _require(total > 0, "the blocks must have at least one row, got none")
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}


def _check_table(source: Source, table: dict[str, Any], names: Sequence[str], where: str) -> None:
    _require(
        list(table) == list(names),
        f"the tables of {where} must have the fields {list(names)} in this order, "
        f"got {list(table)}",
    )
    rows = len(table[names[0]])
    for name, values in table.items():
        field = source.fields[name]
        _require(
            isinstance(values, np.ndarray) and values.dtype == field.dtype,
            f"`{name}` must be an array of {field.dtype} in {where}, as `fields` says, "
            f"got {getattr(values, 'dtype', type(values).__name__)}",
        )
        _require(
            values.shape == (rows, *field.shape),
            f"`{name}` must be of shape {(rows, *field.shape)} in {where}, got {values.shape}",
        )


def _check_take(source: Source, table: Table) -> None:
    """Compare the rows that `take` returns with those that were read."""
    total = len(next(iter(table.values())))
    names = list(table)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, total, size=min(3 * total, 1000))
    for rows, words in [
        (np.array([], dtype=np.int64), "no rows"),
        (np.array([0, total - 1, 0]), "the first row, the last and the first"),
        (drawn, "unsorted and repeated rows"),
        (np.arange(total)[::-1], "all rows in reverse"),
    ]:
        for chosen in (names, names[-1:]):
            taken = source.take(rows, chosen)
            _check_table(source, taken, chosen, f"`take` of {words}")
            expected = {name: table[name][rows] for name in chosen}
            _check_equal(taken, expected, f"`take` must return the rows of `read`, for {words}")
    for wrong in (-1, total):
        try:
            source.take(np.array([wrong]), names)
        except IndexError:
            continue
        raise AssertionError(
            f"`take` must raise IndexError for row {wrong} of {total}, got no error.\n"
            "Hint: call bayou.sources.base.source.check_rows(rows, num_rows)."
        )


def _check_threads(source: Source, table: Table) -> None:
    names = list(table)
    with ThreadPoolExecutor(THREADS) as threads:
        reads = [threads.submit(_read_blocks, source, names) for _ in range(THREADS)]
        for read in reads:
            _check_equal(
                read.result(), table, "`read` must return the same rows to two threads at once"
            )


def _check_pickle(source: Source, table: Table) -> None:
    try:
        # The wrapper of an object that is no `Source` pickles that object.
        unpickled = pickle.loads(pickle.dumps(source))
    except Exception as error:
        raise AssertionError(
            f"a source must be picklable, got {type(error).__name__}: {error}\n"
            "Hint: keep paths, and open files in `read`; or pass pickles=False."
        ) from error
    _require(
        dict(unpickled.fields) == dict(source.fields),
        "pickling must keep `fields`, got other fields",
    )
    _check_equal(_read_blocks(unpickled, list(table)), table, "pickling must keep the rows")


def _check_equal(table: Table, expected: Table, rule: str) -> None:
    for name, values in expected.items():
        try:
            np.testing.assert_array_equal(table[name], values, strict=True)
        except AssertionError as error:
            raise AssertionError(
                f"{rule}, got other values of `{name}`: {error}\n"
                "Hint: bayou.Source has the contract."
            ) from None


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"{rule}.\nHint: bayou.Source has the contract.")
