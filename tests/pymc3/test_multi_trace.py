"""PyMC3's trace reads draws by names, numbers and slices."""

import numpy as np
import pytest
import xarray as xr

from bayou.pymc3.multi_trace import MultiTrace

DRAWS = np.arange(30.0).reshape(2, 5, 3)
ENERGY = np.arange(10.0).reshape(2, 5)


@pytest.fixture
def trace() -> MultiTrace:
    posterior = xr.Dataset({"x": (("chain", "draw", "part"), DRAWS)})
    statistics = xr.Dataset({"energy": (("chain", "draw"), ENERGY)})
    groups = {"posterior": posterior, "sample_stats": statistics}
    return MultiTrace(xr.DataTree.from_dict(groups))


def test_names(trace: MultiTrace) -> None:
    assert (len(trace), trace.nchains, trace.chains) == (5, 2, [0, 1])
    assert (trace.varnames, trace.stat_names) == (["x"], {"energy"})
    assert repr(trace) == "<MultiTrace: 2 chains, 5 iterations, 1 variables>"


def test_values(trace: MultiTrace) -> None:
    both = DRAWS.reshape(10, 3)
    for found in (trace["x"], trace.x, trace.get_values("x")):
        np.testing.assert_array_equal(found, both)
    np.testing.assert_array_equal(trace["x", 2::2], both[[2, 4, 7, 9]])
    np.testing.assert_array_equal(trace["energy"], ENERGY.ravel())
    np.testing.assert_array_equal(trace.get_sampler_stats("energy", chains=1), ENERGY[1])
    first, second = trace.get_values("x", burn=3, combine=False)
    np.testing.assert_array_equal(second, DRAWS[1, 3:])
    assert first.shape == (2, 3)
    assert trace.get_values("x", combine=False, chains=[0]).shape == (5, 3)
    assert len(trace.get_values("x", combine=False, chains=[0], squeeze=False)) == 1


def test_points_and_slices(trace: MultiTrace) -> None:
    np.testing.assert_array_equal(trace[1]["x"], DRAWS[1, 1])
    np.testing.assert_array_equal(trace.point(1, chain=0)["x"], DRAWS[0, 1])
    assert [point["x"][0] for point in trace.points()] == DRAWS[..., 0].ravel().tolist()
    assert len(trace[2:]) == 3
    np.testing.assert_array_equal(trace[2:].x, DRAWS[:, 2:].reshape(6, 3))


def test_unknown_names(trace: MultiTrace) -> None:
    with pytest.raises(KeyError, match=r"must have the variable, got 'z'"):
        trace["z"]
    with pytest.raises(AttributeError, match="'MultiTrace' object has no attribute 'z'"):
        trace.z  # noqa: B018
