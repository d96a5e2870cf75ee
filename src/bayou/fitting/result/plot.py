"""The plot of a fit: its evidence lower bound by step, and the paths of its means."""

from __future__ import annotations

from itertools import pairwise
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    type Array = NDArray[np.float64]
    type Counts = NDArray[np.int64]

# Rates below this share of the first one are drawn as equal to it: at the end of a decay along a
# curve, more halvings would be too narrow to see.
MIN_RATE_SHARE = 2.0**-6
# The label of a rate takes about this share of the width of the axes.
LABEL_WIDTH = 0.07
# Lines of more points have no markers.
MAX_MARKERS = 50
# Lines of more elements have no legend.
MAX_NAMES = 10
COLOR = "tab:blue"
# Letters of a title above one panel.
MAX_TITLE = 80


def plot_fit(
    elbo: Array,
    rates: Array,
    path: Array | None,
    path_steps: Counts | None,
    names: Sequence[str],
    title: str,
) -> Figure:
    """Plot a fit.

    Parameters
    ----------
    elbo, rates : ndarray, shape (num_steps,)
        The ELBO estimated in each step, in nats, and its rate; nan where a line search chose it.
    path : ndarray, shape (num_chunks, num_elements), or None
        The mean position in each chunk of steps: its distance to the final mean, in final standard
        deviations.
    path_steps : ndarray, shape (num_chunks,), or None
        The number of steps that were done at the end of each chunk.
    names : sequence of str
        The names of the elements of the path.
    title : str
        What stands above, such as the verdict.

    Returns
    -------
    matplotlib.figure.Figure
        Left the ELBO; right the paths, if there are any. Each halving of the rate starts a new
        shade of the background.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "`fit.plot` must have matplotlib, which is not installed.\n"
            'Hint: pip install "bayou[plots]".'
        ) from error

    num_axes = 1 if path is None else 2
    figure, (axes,) = plt.subplots(
        1, num_axes, squeeze=False, figsize=(5.5 * num_axes, 3.6), layout="constrained"
    )
    figure.suptitle(shorten(title, MAX_TITLE * num_axes), fontsize="small")
    _draw_elbo(axes[0], elbo, path_steps)
    if path is not None and path_steps is not None:
        _draw_paths(axes[1], path, _middles(path_steps), names)
    for panel in axes:
        panel.set_xlabel("step")
        panel.spines[["top", "right"]].set_visible(False)
        _shade_rates(panel, rates)
    if "inline" in plt.get_backend():
        # A notebook shows the figures that are open at the end of a cell, and the result of the
        # cell: the same figure twice.
        plt.close(figure)
    return figure


def _draw_elbo(axes: Axes, elbo: Array, path_steps: Counts | None) -> None:
    axes.set_title("evidence lower bound")
    axes.set_ylabel("nats")
    steps = np.arange(1, len(elbo) + 1)
    # The first steps, and unlucky draws, may lie so low that the rest would look flat: they do not
    # count for the limits of the axis.
    shown = elbo[len(elbo) // 4 :]
    if path_steps is None:
        axes.plot(steps, elbo, color=COLOR, marker=".")
    else:
        starts = np.concatenate([[0], path_steps[:-1]])
        means = np.add.reduceat(elbo, starts) / np.diff(path_steps, prepend=0)
        axes.plot(steps, elbo, color=COLOR, alpha=0.25, linewidth=0.5, label="each step")
        axes.plot(
            _middles(path_steps),
            means,
            color=COLOR,
            marker=_marker(means),
            label="mean of a chunk",
        )
        axes.legend(loc="lower right")
        shown = np.concatenate([np.quantile(shown, [0.1, 0.9]), means[len(means) // 4 :]])
    margin = 0.1 * np.ptp(shown)
    if margin > 0:
        axes.set_ylim(shown.min() - margin, shown.max() + margin)


def _draw_paths(axes: Axes, path: Array, middles: Array, names: Sequence[str]) -> None:
    axes.set_title("means of the parameters")
    axes.set_ylabel("distance to the final mean, sd")
    few = len(names) <= MAX_NAMES
    for values, name in zip(path.T, names, strict=True):
        axes.plot(
            middles, values, label=name, linewidth=1, alpha=0.9 if few else 0.5,
            marker=_marker(values),
        )  # fmt: skip
    axes.axhline(0, color="0.3", linewidth=0.8)
    if few:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _shade_rates(axes: Axes, rates: Array) -> None:
    """Shade the steps after every second halving of the rate, and label the rates that fit."""
    if np.isnan(rates).any():
        return
    shares = np.maximum(rates / rates[0], MIN_RATE_SHARE)
    halvings = np.floor(-np.log2(shares) + 1e-9)
    edges = np.flatnonzero(np.diff(halvings, prepend=-1, append=np.inf)).tolist()
    axes.set_xlim(0, len(rates) + 1)
    for start, stop in pairwise(edges):
        axes.axvspan(start, stop, color="0.92" if halvings[start] % 2 else "1", zorder=0, lw=0)
        if stop - start > LABEL_WIDTH * len(rates):
            # x in steps, y as a share of the height.
            transform = axes.get_xaxis_transform()
            axes.text(
                (start + stop) / 2, 0.99, f"{rates[start]:.2g}", transform=transform, ha="center",
                va="top", fontsize="small", color="0.4",
            )  # fmt: skip


def _marker(values: Array) -> str:
    return "." if len(values) <= MAX_MARKERS else ""


def _middles(path_steps: Counts) -> Array:
    return path_steps - np.diff(path_steps, prepend=0) / 2 + 0.5
