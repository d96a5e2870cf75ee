"""Whether inference is calibrated: where what was simulated lies in the posteriors of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# The chance that something calibrated is told to be none.
LEVEL = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """The result of a simulation-based calibration; true if all variables are calibrated.

    Attributes
    ----------
    pit : xarray.Dataset
        For each variable and data set, dim "dataset", where the value that the data were simulated
        from lies in their posterior, from 0 to 1: uniform if inference is right.
    method : str
        What drew from the posteriors: "nuts" or a method of :func:`bayou.fit`.
    errors : mapping of int to str
        Of the data sets that failed, which are left out.
    """

    pit: xr.Dataset
    method: str
    errors: Mapping[int, str]

    @cached_property
    def p_values(self) -> dict[str, float]:
        """How likely such values are if a variable is calibrated, that of its worst element.

        Each is corrected for the number of elements of all variables together.
        """
        # ArviZ takes seconds to import.
        from arviz_stats.base.array import array_stats

        test: Any = array_stats.uniformity_test
        tested = {
            str(name): np.atleast_1d(test(found.transpose(..., "dataset").values, axis=-1)[0])
            for name, found in self.pit.items()
        }
        return {
            name: min(1.0, self._number * float(np.min(found))) for name, found in tested.items()
        }

    @property
    def verdicts(self) -> dict[str, bool]:
        """Whether each variable is calibrated, as far as so many data sets tell.

        If all of them are, one is told to be none in 1% of calibrations or less.
        """
        return {name: p_value >= LEVEL for name, p_value in self.p_values.items()}

    def __bool__(self) -> bool:
        return all(self.verdicts.values())

    def __repr__(self) -> str:
        width = max(map(len, self.verdicts))
        lines = [
            f"  {name:{width}}  {'calibrated' if good else 'NOT calibrated'}"
            f"  ({_said(self.p_values[name])}){'' if good else self._shape(name)}"
            for name, good in self.verdicts.items()
        ]
        failed = f", {len(self.errors)} failed" if self.errors else ""
        head = f"Calibration of {self.method!r} on {self.pit.sizes['dataset']} data sets{failed}:"
        return "\n".join([head, *lines])

    def _shape(self, name: str) -> str:
        """Say in words how values are not uniform."""
        values = self.pit[name].values
        if abs(mean := values.mean() - 0.5) > 0.1:
            return f": posteriors are too {'low' if mean > 0 else 'high'}"
        ratio = values.std() * 12**0.5
        if 0.9 < ratio < 1.1:
            return ""
        return f": posteriors are too {'narrow' if ratio > 1 else 'wide'}"

    def plot(self, **options: Any) -> Any:
        """Draw how the values of each variable depart from uniform, by ArviZ.

        Parameters
        ----------
        **options
            As for :func:`arviz.plot_ecdf_pit`.

        Returns
        -------
        arviz_plots.PlotCollection
            The share of values that lie below each place less that place, for each element, with
            its p-value, corrected as in :attr:`p_values`. Points are marked in those that are not
            calibrated.
        """
        from arviz import plot_ecdf_pit, rcParams, visuals

        number = self._number
        level = LEVEL / number
        height = 1.25 * max(_farthest(self.pit), np.sqrt(np.log(2 / level) / 2 / self._num_sets))
        figure: dict[str, Any] = {"sharex": True, "sharey": True}
        if options.get("backend", rcParams["plot.backend"]) == "matplotlib":
            figure["layout"] = "constrained"
        parts = {
            "p_value_text": {"text": lambda p: _said(min(1.0, number * p)), "y": 0.9 * height},
            "xlabel": {"text": "PIT: place in the posterior"},
            "ylabel": {"text": "Δ ECDF"},
        }
        # ArviZ draws no elements without labels.
        counted = {dim: range(n) for dim, n in self.pit.sizes.items() if dim not in self.pit.coords}
        collection = plot_ecdf_pit(
            xr.DataTree.from_dict({"prior_sbc": self.pit.assign_coords(counted)}),
            **{"sample_dims": ["dataset"], "envelope_prob": 1 - level}
            | options
            | {
                "visuals": parts | options.get("visuals", {}),
                "figure_kwargs": figure | options.get("figure_kwargs", {}),
            },
        )
        if not options.get("coverage"):
            # ArviZ gives all of them the limits of the last one.
            limits = {"limits": (-height, height), "store_artist": False, "ignore_aes": "all"}
            collection.map(visuals.set_ylim, "ylim", **limits)
        return collection

    @property
    def _number(self) -> int:
        """Of the elements of all variables together."""
        return sum(found.size for found in self.pit.data_vars.values()) // self._num_sets

    @property
    def _num_sets(self) -> int:
        return self.pit.sizes["dataset"]


def _said(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _farthest(pit: xr.Dataset) -> float:
    """Return how far values depart from uniform at most: the statistic of Kolmogorov."""
    distances = [0.0]
    for found in pit.data_vars.values():
        values = np.sort(found.transpose("dataset", ...).values, axis=0)
        number = len(values)
        places = np.arange(number + 1).reshape(-1, *[1] * (values.ndim - 1)) / number
        distances += [(places[1:] - values).max(), (values - places[:-1]).max()]
    return float(max(distances))


def place(
    value: NDArray[Any], draws: NDArray[Any], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return where values lie among draws of them, from 0 to 1.

    Uniform if the values are draws of the same distribution: a rank is spread over its share.

    Parameters
    ----------
    value : ndarray, shape (...)
        The values.
    draws : ndarray, shape (num_draws, ...)
        Independent draws.
    generator : numpy.random.Generator
        Decides between draws that are equal to the value.

    Examples
    --------
    >>> place(np.array([2.5]), np.array([[1.0], [2.0], [3.0]]), np.random.default_rng(0)).round(1)
    array([0.7])
    """
    below = (draws < value).sum(axis=0)
    equal = (draws == value).sum(axis=0)
    spread = generator.uniform(size=np.shape(value)) * (equal + 1)
    return np.asarray((below + spread) / (len(draws) + 1))
