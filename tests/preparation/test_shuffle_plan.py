from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.preparation.shuffle_plan import MAX_BUCKETS, Plan, disk_bytes, start_progress
from bayou.sources import Field
from bayou.sources.files.store import array_header

FIELDS = (
    Field("number", np.dtype(np.int32)),
    Field("pair", np.dtype(float), (2,)),
    Field("kind", np.dtype(np.int8), (), ("a", "b", "c")),
)
ROW_BYTES = 4 + 16 + 1
PLANS = st.builds(
    lambda num_rows, memory: Plan(FIELDS, num_rows, np.uint64(0), memory),
    st.integers(1, 10**10),
    st.integers(1, 10**11),
)


def test_a_record_is_a_place_and_the_values_of_a_row() -> None:
    plan = Plan(FIELDS, 10, np.uint64(0), 1000)
    assert plan.row_bytes == ROW_BYTES
    assert plan.record.itemsize == 8 + ROW_BYTES
    assert plan.record.names == ("place", "0", "1", "2")
    assert [file.name for file in plan.files(Path("store"))] == [
        "0000-number.npy", "0001-pair.npy", "0002-kind.npy",
    ]  # fmt: skip


@given(PLANS)
def test_buckets_hold_all_rows_in_half_of_the_memory(plan: Plan) -> None:
    last = plan.num_rows - (plan.num_buckets - 1) * plan.bucket_rows
    assert 1 <= last <= plan.bucket_rows
    assert plan.bucket_rows == 1 or plan.bucket_rows * plan.row_bytes <= plan.memory // 2
    assert plan.stage_rows == 1 or plan.stage_rows * plan.record.itemsize <= plan.memory // 2


@given(st.integers(1, 10**10))
def test_the_least_memory_gives_few_buckets(num_rows: int) -> None:
    least = Plan(FIELDS, num_rows, np.uint64(0), 1).least_memory
    plan = Plan(FIELDS, num_rows, np.uint64(0), least)
    assert plan.num_buckets <= MAX_BUCKETS


def test_a_shuffle_begins_with_the_headers_of_its_files() -> None:
    plan = Plan(FIELDS, 100, np.uint64(0), 42 * 30)
    progress = start_progress(plan)
    assert (progress.block, progress.row, progress.rows_read, progress.buckets_done) == (0, 0, 0, 0)
    assert progress.bucket_rows == [0] * 4
    assert progress.checksums == [zlib.crc32(array_header(field, 100)) for field in FIELDS]


@pytest.mark.parametrize(
    ("rows_read", "buckets_done", "num_bytes"),
    [
        (0, 0, 100 * (8 + ROW_BYTES) + 30 * ROW_BYTES),
        (100, 0, 30 * ROW_BYTES),
        (100, 3, 10 * ROW_BYTES),
        (100, 4, 0),
    ],
)
def test_the_disk_needs_less_as_a_shuffle_goes_on(
    rows_read: int, buckets_done: int, num_bytes: int
) -> None:
    plan = Plan(FIELDS, 100, np.uint64(0), 42 * 30)
    progress = start_progress(plan)
    progress.rows_read, progress.buckets_done = rows_read, buckets_done
    assert disk_bytes(plan, progress) == num_bytes + 2**20
