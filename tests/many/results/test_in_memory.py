"""Results in memory: one tree of the parts that were added, whatever the parts."""

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayou.many.results.in_memory import InMemoryResults
from bayou.many.results.outcome import Failure
from tests.many.results.small_results import AXES, failed, outcome


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 5))
def test_parts_make_no_difference(lengths: list[int], cut: int) -> None:
    outcomes = [outcome(key, rows) for key, rows in enumerate(lengths)]
    one, two = InMemoryResults(AXES), InMemoryResults(AXES)
    one.append(outcomes)
    for part in (outcomes[:cut], outcomes[cut:]):
        if part:
            two.append(part)
    tree = one.tree()
    for group in two.tree().children.values():
        xr.testing.assert_identical(group.to_dataset(), tree[group.name].to_dataset())
    posterior = tree["posterior"].to_dataset()
    assert posterior.sizes == {
        "dataset": len(lengths),
        "chain": 2,
        "draw": 3,
        "row": max(lengths),
    }
    for key, rows in enumerate(lengths):
        mean = posterior["mean"].sel(dataset=key).values
        np.testing.assert_array_equal(mean[..., :rows], outcomes[key].groups["posterior"]["mean"])
        assert np.isnan(mean[..., rows:]).all()
    assert posterior["count"].dtype.kind == "i"
    assert ("row" in posterior.coords) == (max(lengths) == 2)


def test_failures_are_in_the_table_only() -> None:
    results = InMemoryResults(AXES)
    results.append([failed("bad"), outcome("good")])
    assert results.done == {"bad": "bad", "good": "data of good"}
    assert results.failed == {"bad": Failure("ValueError", "no")}
    tree = results.tree()
    assert tree["posterior"]["dataset"].values.tolist() == ["good"]
    table = tree["diagnostics"].to_dataset()
    assert table["error"].values.tolist() == ["ValueError: no", ""]
    assert np.isnan(table["rhat"].sel(dataset="bad"))
    assert tree["posterior"].attrs == AXES.attrs


def test_labels_in_common_are_kept() -> None:
    results = InMemoryResults(AXES)
    # The labels of a data set that failed do not count.
    results.append([failed("bad"), outcome("one", row=("x", "y")), outcome("two", row=("x", "y"))])
    assert results.tree()["posterior"]["row"].values.tolist() == ["x", "y"]
