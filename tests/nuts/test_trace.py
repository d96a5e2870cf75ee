"""nutpie's Arrow batches, read as arrays by chain and draw."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.nuts.settings import NutsSettings
from bayou.nuts.trace import ALL_STATISTICS, STATISTICS, ChainBatches, sampler_attrs

# nutpie's names, of statistics that are enough here.
NAMES = ("logp", "energy", "energy_error", "max_energy_error", "diverging", "depth")
NAMES += ("maxdepth_reached", "n_steps", "index_in_trajectory", "step_size", "step_size_bar")
NAMES += ("mean_tree_accept",)
TUNE = 2


def trace(lengths: list[int], size: int) -> Any:
    """Return a trace of chains with so many steps, each draw filled with its number."""
    draws, statistics = [], []
    for steps in lengths:
        flat = np.repeat(np.arange(float(steps)), size)
        array = pa.FixedSizeListArray.from_arrays(pa.array(flat), size)
        draws.append(pa.record_batch({"draws": array}))
        numbers = {name: pa.array(np.arange(float(steps))) for name in NAMES}
        statistics.append(pa.record_batch(numbers | {"tuning": pa.array(np.arange(steps) < TUNE)}))
    return SimpleNamespace(get_arrow_trace=lambda: (draws, statistics))


@given(st.lists(st.integers(TUNE + 1, 9), min_size=1, max_size=3), st.integers(1, 3))
def test_the_most_draws_after_tuning_that_chains_have(lengths: list[int], size: int) -> None:
    read = ChainBatches.of(trace(lengths, size)).read_draws(size)
    draws, statistics = read.flat, read.statistics
    counts = [steps - TUNE for steps in lengths]
    num_chains, num_draws, _ = draws.shape
    assert num_chains == sum(count >= num_draws for count in counts)
    assert num_chains * num_draws == max(n * sum(count >= n for count in counts) for n in counts)
    np.testing.assert_array_equal(draws[0, :, -1], np.arange(TUNE, TUNE + num_draws))
    assert tuple(statistics) == ALL_STATISTICS
    np.testing.assert_array_equal(statistics["acceptance_rate"], draws[..., 0])


def test_statistics_may_be_chosen() -> None:
    read = ChainBatches.of(trace([5], 1)).read_draws(1, STATISTICS)
    assert set(read.statistics) == set(STATISTICS)


def test_tuning_steps() -> None:
    read = ChainBatches.of(trace([5, 4], 3)).read_tuning(3)
    np.testing.assert_array_equal(read.flat, [[[0.0] * 3, [1.0] * 3]] * 2)
    np.testing.assert_array_equal(read.statistics["lp"], [range(TUNE)] * 2)


def test_chains_that_had_just_begun_are_left_out() -> None:
    draws = ChainBatches.of(trace([9, 8, 3, 0], 1)).read_draws(1)
    np.testing.assert_array_equal(draws.flat[..., 0], [range(TUNE, 8)] * 2)
    draws = ChainBatches.of(trace([9, 2], 1)).read_draws(1)
    assert draws.flat.shape == (1, 7, 1)


def test_interrupted_before_a_draw() -> None:
    with pytest.raises(KeyboardInterrupt, match="stopped the chains while they were tuned"):
        ChainBatches.of(trace([2, 1], 1))


def test_attributes_name_the_sampler() -> None:
    attrs = sampler_attrs(NutsSettings(tune=30))
    assert (attrs["inference_library"], attrs["tuning_steps"]) == ("nutpie", 30)
