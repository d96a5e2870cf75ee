"""Batches for anyone: what they hold, where they go on, when they end, and what is left behind."""

import gc
import json
import threading
from itertools import chain, islice
from time import sleep
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.feeding import batch_iterator as batches
from bayou.feeding.batch_iterator import Batches
from bayou.sampling.epoch import epoch_rows
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key
from bayou.sampling.weighted import Weighted

SIZES = [20, 0, 13, 27]
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "access": ({"access": True}, {}),
    "memory": ({}, {"in_memory_size": 60}),
    "windows": ({}, {"in_memory_size": 20}),
    "sequence": ({}, {"in_memory_size": 20, "order": "sequential"}),
}
NUMBERS = ["row", "x", "z", "pixels", "flag", "day", "kind"]


def row_batches(row_source: Any, way: str, batch_size: int, **options: Any) -> Batches:
    settings, more = WAYS[way]
    options = {"columns": ["row"], "random_seed": 1} | more | options
    return Batches(row_source(SIZES, **settings), batch_size, **options)


def rows_of(batches: Batches, count: int) -> list[list[int]]:
    return [next(batches)["row"].tolist() for _ in range(count)]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("bayou-")]


@pytest.mark.parametrize("way", WAYS)
def test_fields_of_the_same_rows_by_name(row_source: Any, way: str) -> None:
    with row_batches(row_source, way, 7, columns=NUMBERS) as found:
        for _ in range(20):
            batch = next(found)
            assert list(batch) == NUMBERS
            for name, values in batch.items():
                assert len(values) == 7
                expected = row_source.values_of(name, batch["row"])
                np.testing.assert_array_equal(values, expected)
                assert values.dtype == expected.dtype


@pytest.mark.parametrize("way", WAYS)
def test_names_and_matrices_by_a_dict(row_source: Any, way: str) -> None:
    columns = {"i": "row", "both": ["z", "x"]}
    with row_batches(row_source, way, 7, columns=columns) as found:
        batch = next(found)
    assert list(batch) == ["i", "both"]
    assert batch["both"].flags.c_contiguous
    np.testing.assert_array_equal(batch["both"], np.stack([-batch["i"], batch["i"] / 2], axis=1))


def test_an_epoch_is_the_default(row_source: Any) -> None:
    with row_batches(row_source, "access", 8) as found:
        expected = epoch_rows(stream_key(1), 0, 30, 60, 8).tolist()
        assert rows_of(found, 30) == expected


@given(
    way=st.sampled_from([*WAYS]),
    batch_size=st.integers(1, 60),
    epochs=st.integers(1, 4),
    most=st.integers(1, 300),
)
def test_epochs_hold_every_row_once_and_the_last_batch_is_shorter(
    row_source: Any, way: str, batch_size: int, epochs: int, most: int
) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        row_batches(row_source, way, batch_size, epochs=epochs) as found,
    ):
        patch.setattr(found, "_most", most)
        rows = [batch["row"] for batch in found]
        assert len(rows) == found.num_batches == -(-60 * epochs // batch_size)
        assert {len(batch) for batch in rows[:-1]} <= {batch_size}
        order = np.concatenate(rows).reshape(epochs, 60)
        np.testing.assert_array_equal(np.sort(order), np.tile(np.arange(60), (epochs, 1)))
        assert list(found) == []


@pytest.mark.parametrize("way", WAYS)
def test_resuming_at_every_step_gives_the_same_rest(row_source: Any, way: str) -> None:
    with row_batches(row_source, way, 7, epochs=2) as found:
        states, rows = [], []
        for batch in found:
            rows.append(batch["row"].tolist())
            states.append(json.loads(json.dumps(found.state())))
    for step, state in enumerate(states, start=1):
        assert state == {"random_seed": 1, "step": step}
        with row_batches(row_source, way, 7, epochs=2, random_seed=state["random_seed"]) as resumed:
            resumed.seek(state["step"])
            assert [batch["row"].tolist() for batch in resumed] == rows[step:]


@pytest.mark.parametrize("way", WAYS)
def test_seeking_to_and_fro(row_source: Any, way: str) -> None:
    with row_batches(row_source, way, 7) as found:
        rows = rows_of(found, 40)
        for step in (39, 0, 17, 18, 3):
            found.seek(step)
            assert found.state()["step"] == step
            assert rows_of(found, 1) == [rows[step]]
        assert found.state()["step"] == 4


def test_a_seed_that_is_drawn_is_told(row_source: Any) -> None:
    with row_batches(row_source, "access", 7, random_seed=None) as found:
        rows = rows_of(found, 3)
        seed = found.state()["random_seed"]
    with row_batches(row_source, "access", 7, random_seed=seed) as again:
        assert rows_of(again, 3) == rows
    with row_batches(row_source, "access", 7, random_seed=None) as other:
        assert other.state()["random_seed"] != seed


@given(way=st.sampled_from([*WAYS]), num_shards=st.integers(1, 5), epochs=st.integers(1, 2))
def test_shards_together_are_the_batches(
    row_source: Any, way: str, num_shards: int, epochs: int
) -> None:
    with row_batches(row_source, way, 7, epochs=epochs) as found:
        whole = [batch["row"].tolist() for batch in found]
    parts = []
    for index in range(num_shards):
        shard = Shard(index, num_shards)
        with row_batches(row_source, way, 7, epochs=epochs, shard=shard) as found:
            parts.append([batch["row"].tolist() for batch in found])
    assert [list(chain(*pieces)) for pieces in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("way", WAYS)
def test_chunks_change_nothing(row_source: Any, way: str, most: int, monkeypatch: Any) -> None:
    with row_batches(row_source, way, 7) as found:
        expected = rows_of(found, 50)
    monkeypatch.setattr(batches, "CHUNK_STEPS", most)
    with row_batches(row_source, way, 7) as found:
        assert rows_of(found, 50) == expected


def test_weights_come_with_the_rows(row_source: Any) -> None:
    for order in (Weighted(np.arange(1, 61)), Stratified(np.arange(60) % 4)):
        with row_batches(row_source, "access", 8, order=order, columns=["row", "x"]) as found:
            batch = next(found)
        assert list(batch) == ["row", "x", "weight"]
        np.testing.assert_array_equal(batch["weight"], order.weights(batch["row"][None])[0])


def test_weights_keep_the_sum_of_a_likelihood(row_source: Any) -> None:
    order = Stratified(np.arange(60) % 4, {0: 1, 1: 2, 2: 3, 3: 2})
    with row_batches(row_source, "access", 8, order=order, columns=["x"]) as found:
        sums = [(batch["weight"] * batch["x"]).sum() for batch in islice(found, 30)]
        scale = found.num_rows / 8
    assert np.mean(sums) * scale == pytest.approx(np.arange(60).sum() / 2)


def test_batches_are_the_callers_own(row_source: Any) -> None:
    with row_batches(row_source, "memory", 10, columns=["row", "x"]) as found:
        kept = [next(found) for _ in range(12)]
        copies = [{name: values.copy() for name, values in batch.items()} for batch in kept]
        for batch in kept[::2]:
            batch["x"][:] = -1
        rows_of(found, 12)
        found.seek(0)
        for first, again, copy in zip(kept, found, copies, strict=False):
            np.testing.assert_array_equal(again["x"], copy["x"])
            np.testing.assert_array_equal(first["row"], copy["row"])


@pytest.mark.parametrize("way", ["access", "windows"])
def test_an_error_arrives_at_its_batch_and_nothing_is_lost(row_source: Any, way: str) -> None:
    settings, options = WAYS[way]
    with row_batches(row_source, way, 5) as found:
        expected = rows_of(found, 24)
    source = row_source(SIZES, fails_at=expected[8][2], **settings)
    found = Batches(source, 5, columns=["row"], random_seed=1, **options)
    assert rows_of(found, 8) == expected[:8]
    for _ in range(2):
        with pytest.raises(OSError, match=r"part-3.parquet: no row"):
            next(found)
        assert found.state()["step"] == 8
    source.fails_at = None
    assert rows_of(found, 16) == expected[8:]
    found.close()
    assert threads() == []


@pytest.mark.parametrize("taken", [0, 1, 5])
@pytest.mark.parametrize("way", WAYS)
def test_no_thread_stays(row_source: Any, way: str, taken: int) -> None:
    found = row_batches(row_source, way, 5)
    rows_of(found, taken)
    found.close()
    assert threads() == []
    found.close()
    with pytest.raises(ValueError, match=r"must be open to be read, got closed batches"):
        next(found)

    gc.disable()
    try:
        # While the next rows are read, and after.
        for wait in (0.0, 0.1):
            dropped = row_batches(row_source, way, 5)
            rows_of(dropped, taken)
            sleep(wait)
            running = threads()
            del dropped
            for thread in running:
                thread.join(60)
            assert threads() == []
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("error", "options", "text"),
    [
        (
            TypeError,
            {"columns": None},
            "must be numbers, .*, got `name` of text or other objects.\nHint: choose oth",
        ),
        (
            TypeError,
            {"columns": "row"},
            r"`columns` must be a list or a dict of names, got the text",
        ),
        (ValueError, {"columns": ["rows"]}, "Each name must be a field of the source, got 'rows'"),
        (ValueError, {"columns": []}, "`columns` must hold at least one column, got none"),
        (ValueError, {"random_seed": -1}, "`random_seed` must be None, a whole number of at l"),
        (ValueError, {"order": "shuffled"}, "`order` must be one of 'epoch', 'uniform', 'sequent"),
        (ValueError, {"batch_size": 61}, "`batch_size` must be at most the number of rows, 60, g"),
        (
            ValueError,
            {"columns": {"weight": "x"}, "order": Weighted(np.ones(60))},
            '`columns` must not hold "weight", which names the weights of `order`, got a field',
        ),
    ],
)
def test_what_is_refused(row_source: Any, error: Any, options: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        row_batches(row_source, "access", options.pop("batch_size", 5), **options)
    assert threads() == []


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (-1, "`step` must be a whole number of at least 0, got -1"),
        (1.0, "`step` must be a whole number of at least 0, got 1.0"),
        (13, "`step` must be at most the number of batches, 12, got 13.\nHint: raise `epochs`"),
    ],
)
def test_steps_that_are_not_there(row_source: Any, step: Any, text: str) -> None:
    with row_batches(row_source, "access", 5, epochs=1) as found:
        rows_of(found, 2)
        with pytest.raises(ValueError, match=text):
            found.seek(step)
        assert found.state()["step"] == 2
        found.seek(12)
        assert list(found) == []


def test_what_a_source_takes_has_batches() -> None:
    with Batches({"x": np.arange(4)}, 2, order="sequential", epochs=1) as found:
        assert [batch["x"].tolist() for batch in found] == [[0, 1], [2, 3]]


def test_a_shard_is_one(row_source: Any) -> None:
    with pytest.raises(TypeError, match=r"`shard` must be a by.Shard, got 3.\nHint: by"):
        Batches(row_source([4]), 2, shard=3)  # type: ignore[arg-type]


def test_a_state_is_no_step() -> None:
    with (
        Batches(np.arange(4), 2) as found,
        pytest.raises(ValueError, match=r"got \{.*\}.\nHint: .* state is state\['step'\]"),
    ):
        found.seek(found.state())  # type: ignore[arg-type]


def test_seeds_are_those_of_pymc(row_source: Any) -> None:
    def rows(seed: Any) -> tuple[list[int], int]:
        with Batches(row_source([60]), 20, columns=["row"], random_seed=seed) as batches:
            return next(batches)["row"].tolist(), batches.state()["random_seed"]

    first, seed = rows([1, 2])
    assert rows(np.array([1, 2])) == rows(seed) == (first, seed)
    assert rows(np.random.default_rng(3)) == rows(int(np.random.default_rng(3).integers(2**63)))
    assert rows(7)[1] == 7
