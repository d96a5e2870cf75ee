"""The check of sources: each rule, broken by one source that breaks nothing else."""

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

import bayou.sources as by
from bayou.testing import check_source

VALUES = {"x": np.arange(10.0), "n": np.arange(10)}


class Good(by.Source):
    """Ten rows in two blocks; the others change one thing."""

    fields: ClassVar = {"x": by.Field("x", np.dtype(float)), "n": by.Field("n", np.dtype("int64"))}
    blocks: tuple[int | None, ...] = (6, 4)

    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        rows = slice(0, 6) if block == 0 else slice(6, 10)
        yield {name: VALUES[name][rows] for name in names}


class NoFields(Good):
    fields: ClassVar = {}


class NamedOtherwise(Good):
    fields: ClassVar = {"x": by.Field("y", np.dtype(float)), "n": by.Field("n", np.dtype("int64"))}


class BytesSwapped(Good):
    fields: ClassVar = {"x": by.Field("x", np.dtype(">f8")), "n": by.Field("n", np.dtype("int64"))}


class WideCodes(Good):
    fields: ClassVar = {
        "x": Good.fields["x"],
        "n": by.Field("n", np.dtype("int64"), (), ("a", "b")),
    }


class NoBlocks(Good):
    blocks = ()
    num_rows = 10


class OtherNumber(Good):
    num_rows = 11


class ShortBlock(Good):
    blocks = (6, 5)


class ShortTable(Good):
    blocks = (6, None)
    num_rows = 11


class NoRows(Good):
    blocks = (None,)

    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        return iter(())


class AllFields(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        return super().read(block, ["x", "n"])


class OwnOrder(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        return super().read(block, sorted(names, reverse=True))


class OtherDtype(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        for table in super().read(block, names):
            yield {name: values.astype("float64") for name, values in table.items()}


class OtherShape(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        for table in super().read(block, names):
            yield {name: values[:, None] for name, values in table.items()}


class UnequalLengths(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        for table in super().read(block, names):
            yield {name: values[name == "n" :] for name, values in table.items()}


class Once(Good):
    def __init__(self) -> None:
        self.passes = itertools.count()

    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        for table in super().read(block, names):
            shift = next(self.passes)
            yield {name: values + values.dtype.type(shift) for name, values in table.items()}


class OtherTake(Good):
    def take(self, rows: np.ndarray, names: list[str]) -> by.Table:
        return super().take(np.sort(rows), names)


class RoundTake(Good):
    def take(self, rows: np.ndarray, names: list[str]) -> by.Table:
        return super().take(rows % 10, names)


class OneThread(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        import threading

        here = threading.current_thread() is threading.main_thread()
        for table in super().read(block, names):
            yield table if here else {name: values + 1 for name, values in table.items()}


class NoPickle(Good):
    def __reduce__(self) -> Any:
        raise TypeError("it is open")


class PickledOtherwise(Good):
    def __reduce__(self) -> Any:
        return Reversed, ()


class Reversed(Good):
    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        for table in super().read(block, names):
            yield {name: values[::-1] for name, values in table.items()}


class PickledShort(Good):
    def __reduce__(self) -> Any:
        return by.source, ({"x": VALUES["x"]},)


BROKEN = {
    NoFields: r"`fields` must have at least one field, got none",
    NamedOtherwise: r"`fields` must map names to fields of that name, got Field\(name='y'",
    BytesSwapped: r"`x` must have a numpy.dtype in the byte order of this machine",
    WideCodes: r"`n` has categories, so its dtype must be int32, that of their codes, got",
    NoBlocks: r"`blocks` must have at least one block, got none",
    OtherNumber: r"`num_rows` must be the sum of `blocks`, 10, got 11",
    ShortBlock: r"`read` must yield as many rows of block 1 as `blocks` says, 5, got 4",
    ShortTable: r"the blocks must have as many rows as `num_rows` says, 11, got 10",
    NoRows: r"the blocks must have at least one row, got none",
    AllFields: r"of block 0 must have the fields \['n', 'x'\] in this order, got \['x', 'n'\]",
    OwnOrder: r"must have the fields \['n', 'x'\] in this order, got \['x', 'n'\]",
    OtherDtype: r"`n` must be an array of int64 in block 0, as `fields` says, got float64",
    OtherShape: r"`x` must be of shape \(6,\) in block 0, got \(6, 1\)",
    UnequalLengths: r"`n` must be of shape \(6,\) in block 0, got \(5,\)",
    Once: r"`read` must return the same rows each time, got other values of `x`",
    OtherTake: r"`take` must return the rows of `read`, for the first row, the last and the first",
    RoundTake: r"`take` must raise IndexError for row -1 of 10, got no error",
    OneThread: r"`read` must return the same rows to two threads at once, got other values of `x`",
    NoPickle: r"a source must be picklable, got TypeError: it is open",
    PickledOtherwise: r"pickling must keep the rows, got other values of `x`",
    PickledShort: r"pickling must keep `fields`, got other fields",
}


def test_a_good_source_breaks_none() -> None:
    check_source(Good())


@pytest.mark.parametrize(
    ("source", "rule"), BROKEN.items(), ids=lambda case: getattr(case, "__name__", "")
)
def test_broken_rule_is_named(source: type[by.Source], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule) as caught:
        check_source(source())
    assert "\nHint: " in str(caught.value)


@pytest.mark.parametrize("source", [NoPickle, PickledOtherwise])
def test_pickling_can_be_left_out(source: type[by.Source]) -> None:
    check_source(source(), pickles=False)
