from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayou.arguments import check_flag, memory_bytes, path_of, seed_number, whole_number


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "1", 0, None])
def test_only_whole_numbers_that_are_large_enough_pass(value: Any) -> None:
    message = f"`n` must be a whole number of at least 1, got {value!r}.\nHint: count them."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        whole_number("n", value, 1, "count them.")


def test_a_number_is_its_own_seed() -> None:
    assert seed_number(None) is None
    assert [seed_number(seed) for seed in (0, np.int8(7), np.array(7), 2**70)] == [0, 7, 7, 2**70]


def test_a_sequence_is_one_seed_that_all_of_its_numbers_decide() -> None:
    seeds = {seed_number(seed) for seed in ([1, 2], (1, 2), np.array([1, 2]), range(1, 3))}
    assert len(seeds) == 1
    assert seeds.isdisjoint(map(seed_number, ([2, 1], [1], [1, 2, 0])))


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_gives_a_new_seed_each_time(make: Any) -> None:
    generator = make(0)
    first, second = seed_number(generator), seed_number(generator)
    assert first != second
    assert seed_number(make(0)) == first


@pytest.mark.parametrize("seed", [-1, 1.5, "7", b"7", True, [], [1, -1], [1.0], [True], {}])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    message = (
        "`random_seed` must be None, a whole number of at least 0, a sequence of them or a NumPy "
        f"generator, got {seed!r}.\nHint: pass a number, and the same one for the same result."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        seed_number(seed)


@pytest.mark.parametrize("value", ["a/b", Path("a/b")])
def test_a_text_and_a_path_are_paths(value: Any) -> None:
    assert path_of("out", value) == Path("a/b")


@pytest.mark.parametrize("value", [3, None, b"a", ["a"], os.DirEntry])
def test_what_is_no_path_is_refused(value: Any) -> None:
    message = f"`out` must be a path, got {value!r}.\nHint: pass a str or a pathlib.Path."
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        path_of("out", value)


@pytest.mark.parametrize("value", ["no", 1, 0, None])
def test_only_true_and_false_are_flags(value: Any) -> None:
    check_flag("validate", np.True_, "")
    message = f"`validate` must be True or False, got {value!r}.\nHint: choose."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_flag("validate", value, "choose.")


@pytest.mark.parametrize(
    ("memory", "size"),
    [(7, 7), ("7 B", 7), ("1 KiB", 1024), ("2 GB", 2 * 10**9), ("1.5MiB", 3 * 2**19)],
)
def test_sizes_of_memory(memory: int | str, size: int) -> None:
    assert memory_bytes(memory) == size
