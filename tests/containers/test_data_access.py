"""Threads that read and change the data of models: who waits for whom."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.containers.data_access import changing_data, reading_data

LONG = 30


def model_of(length: int = 3) -> pm.Model:
    with pm.Model() as model:
        data = by.Data("data", np.zeros(length), dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=data, dims="row")
    return model


def set_data(model: pm.Model, length: int = 5) -> None:
    by.set_data({"data": np.ones(length)}, model=model)


def read(model: pm.Model) -> None:
    with reading_data(model):
        pass


class Started:
    """A function in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[function], daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], Any]) -> None:
        function()
        self.done.set()


def test_a_change_waits_for_the_end_of_reading() -> None:
    model = model_of()
    with reading_data(model), reading_data(model):
        change = Started(lambda: set_data(model))
        assert not change.done.wait(0.05)
        assert model["data"].get_value().shape == (3,)
        # Another thread that would read waits for the change that waits.
        reader = Started(lambda: read(model))
        assert not reader.done.wait(0.05)
    assert change.done.wait(LONG)
    assert reader.done.wait(LONG)
    assert model["data"].get_value().shape == (5,)


def test_reading_waits_for_the_end_of_a_change() -> None:
    model = model_of()
    with changing_data(model.data_vars):
        reader = Started(lambda: by.verify(by.fit(1, model=model, progressbar=False), model))
        assert not reader.done.wait(0.05)
        # Other models are none of its business, and what belongs to the change is not either.
        set_data(model_of())
        with reading_data(model):
            set_data(model)
    assert reader.done.wait(LONG)


def test_a_reading_thread_may_change_the_data() -> None:
    model = model_of()
    with reading_data(model):
        set_data(model)
    assert model["data"].get_value().shape == (5,)


def test_models_that_share_containers_exclude_each_other() -> None:
    model = model_of()
    with reading_data(pm.do(model, {"mu": 1.0})):
        change = Started(lambda: set_data(model))
        shares = pm.do(model, {"mu": 1.0})["data"].container is model["data"].container
        assert change.done.wait(0.05) is not shares
    assert change.done.wait(LONG)


def test_an_error_ends_the_access() -> None:
    model = model_of()
    with pytest.raises(RuntimeError), reading_data(model):
        raise RuntimeError
    with pytest.raises(RuntimeError), changing_data(model.data_vars):
        raise RuntimeError
    change = Started(lambda: set_data(model))
    assert change.done.wait(LONG)


@pytest.mark.slow
def test_fits_and_changes_at_once_are_each_right() -> None:
    model = model_of(50)
    quiet: dict[str, Any] = {"model": model, "random_seed": 1, "progressbar": False}
    posterior = {n: n * (n % 7) / (n + 0.01) for n in range(50, 60)}

    def fit(_: int) -> tuple[float, int]:
        with reading_data(model):
            mean = float(by.fit(**quiet).mean["mu"])
            return mean, len(model["data"].get_value())

    def change(number: int) -> None:
        by.set_data({"data": np.full(50 + number, (50 + number) % 7)}, model=model)

    change(0)
    with ThreadPoolExecutor(4) as pool:
        fits = [pool.submit(fit, n) for n in range(8)]
        changes = [pool.submit(change, n) for n in range(10)]
        wait([*fits, *changes])
    for future in changes:
        future.result()
    for future in fits:
        mean, length = future.result()
        assert mean == pytest.approx(posterior[length], abs=1e-3)


@pytest.mark.slow
def test_many_fits_of_one_model_at_once_keep_to_their_data() -> None:
    model = model_of()

    def means(level: float) -> Any:
        data = {key: {"data": np.full(20, level + key)} for key in range(3)}
        tree = by.fit_many(data, model=model, draws=200, random_seed=1, progressbar=False)
        return tree.posterior["mu"].mean(("chain", "draw")).values

    with ThreadPoolExecutor(3) as pool:
        for level, found in zip((0, 10, 20), pool.map(means, (0, 10, 20)), strict=True):
            np.testing.assert_allclose(found, level + np.arange(3), atol=0.2)
    np.testing.assert_array_equal(model["data"].get_value(), np.zeros(3))
