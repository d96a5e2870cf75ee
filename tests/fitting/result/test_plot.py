"""The plot of a fit, from arrays alone."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure

from bayou.fitting.result.plot import MAX_NAMES, plot_fit

ELBO = -1000.0 / np.arange(1, 101)
RATES = np.repeat([0.4, 0.2, 0.1], [50, 30, 20])
STEPS = np.array([25, 50, 80, 100])
PATH = np.array([[3.0, -2.0], [1.0, -1.0], [0.5, 0.2], [0.1, 0.0]])


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    from matplotlib import pyplot as plt

    yield
    plt.close("all")


def test_without_a_path_there_is_one_panel() -> None:
    figure = plot_fit(ELBO, np.full(100, np.nan), None, None, [], "good: all is well")
    [panel] = figure.axes
    [line] = panel.get_lines()
    assert figure.get_suptitle() == "good: all is well"
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 101))
    np.testing.assert_array_equal(line.get_ydata(), ELBO)
    assert len(panel.patches) == 0
    # The first, low values are left out of the axis.
    assert panel.get_ylim()[0] > -100


def full_figure(names: list[str]) -> Figure:
    return plot_fit(ELBO, RATES, np.resize(PATH, (4, len(names))), STEPS, names, "good")


def test_chunks_have_their_mean_in_their_middle() -> None:
    elbo, paths = full_figure(["a", "b"]).axes
    _, means = elbo.get_lines()
    np.testing.assert_allclose(means.get_xdata(), [13, 38, 65.5, 90.5])
    np.testing.assert_allclose(means.get_ydata()[1], ELBO[25:50].mean())
    lines = paths.get_lines()
    np.testing.assert_array_equal(lines[1].get_ydata(), PATH[:, 1])
    np.testing.assert_allclose(lines[1].get_xdata(), means.get_xdata())
    assert [text.get_text() for text in paths.get_legend().get_texts()] == ["a", "b"]


def test_each_halving_of_the_rate_is_a_shade_with_its_rate() -> None:
    for panel in full_figure(["a", "b"]).axes:
        spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in panel.patches]
        assert spans == [(0, 50), (50, 80), (80, 100)]
        assert [text.get_text() for text in panel.texts] == ["0.4", "0.2", "0.1"]


def test_many_elements_have_no_legend() -> None:
    assert full_figure(["x"] * MAX_NAMES).axes[1].get_legend() is not None
    assert full_figure(["x"] * (MAX_NAMES + 1)).axes[1].get_legend() is None


def test_a_constant_elbo_is_drawn() -> None:
    figure = plot_fit(np.zeros(3), np.ones(3), np.zeros((1, 1)), np.array([3]), ["a"], "good")
    assert len(figure.axes) == 2


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"must have matplotlib, which is not .*\nHint: pip"):
        plot_fit(ELBO, RATES, None, None, [], "good")
