"""Keys of graphs: equal where code can be shared, and different where anything differs."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.nuts.compiled import density_graphs as graphs
from bayou.nuts.compiled.shared_code import SharedCode, graph_key


def line_key(slope: Any = 2.0, length: int | None = None, *, swapped: bool = False) -> Any:
    x, y = pt.vector("x", shape=(length,)), pt.vector("y")
    inputs = [y, x] if swapped else [x, y]
    return graph_key(inputs, [x * slope + y, pt.exp(x)])


def test_equal_graphs_have_equal_keys() -> None:
    assert line_key() == line_key()
    assert hash(line_key()) == hash(line_key())
    table = np.arange(3.0)
    assert line_key(table) == line_key(table.copy())


@pytest.mark.parametrize(
    "other",
    [
        line_key(3.0),
        line_key(np.arange(3.0)),
        line_key(length=3),
        line_key(swapped=True),
        graph_key([], []),
    ],
)
def test_other_graphs_have_other_keys(other: Any) -> None:
    assert other != line_key()


def test_which_argument_is_which_is_in_the_key() -> None:
    x, y = pt.vector("x"), pt.vector("y")
    assert graph_key([x, y], [x - y]) != graph_key([x, y], [y - x])
    assert graph_key([x, y], [x]) != graph_key([x, y], [y])
    # One operation used twice, and two equal ones.
    shared = pt.exp(x)
    assert graph_key([x], [shared + shared]) != graph_key([x], [pt.exp(x) + pt.exp(x)])


def test_the_least_used_code_is_forgotten() -> None:
    cache, compiled_keys = SharedCode(max_graphs=2), []

    def get(key: str) -> str:
        return cache.get_or_compile(key, lambda: compiled_keys.append(key) or key)

    assert [get(key) for key in "abacab"] == list("abacab")
    assert compiled_keys == ["a", "b", "c", "b"]


@pytest.mark.slow
def test_models_that_are_written_alike_share_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def model_of(seed: int, scale: float) -> pm.Model:
        values = np.random.default_rng(seed).normal(seed, 1, size=50 + seed)
        with pm.Model() as model:
            mu = pm.Normal("mu", 0, scale)
            pm.Normal("y", mu, 1, observed=by.Data("data", values, dims="row"), dims="row")
        return model

    count = 0
    compile_code = graphs.compile_numba

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return compile_code(*arguments)

    monkeypatch.setattr(graphs, "compile_numba", counted)
    monkeypatch.setattr(graphs, "numba_codes", SharedCode())
    # Files of earlier runs may have it already.
    monkeypatch.setenv("BAYOU_CODE_CACHE", "off")
    quiet: dict[str, Any] = {"random_seed": 1, "progressbar": False}
    for seed in (1, 4):
        trace = by.sample(draws=500, tune=300, chains=2, model=model_of(seed, 10), **quiet)
        # Each has its own data.
        assert float(trace.posterior["mu"].mean()) == pytest.approx(seed, abs=0.5)
        assert trace.observed_data["y"].sizes["row"] == 50 + seed
    assert count == 1
    by.sample(draws=20, tune=20, chains=1, model=model_of(1, 3), **quiet)
    assert count == 2
