"""The result of a simulation-based calibration: verdicts, their p-values and a plot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arviz import PlotCollection
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers

# The probability that a calibration fails although inference is right.
LEVEL = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """The result of a simulation-based calibration; true if all variables are calibrated.

    ``print(calibration)`` shows a verdict for each variable, with its p-value, and how the
    posteriors of one that is not calibrated are wrong: too low, high, narrow or wide.

    Attributes
    ----------
    pit : xarray.Dataset
        For each free variable, the probability integral transform of each data set: the rank of the
        value that the data were simulated from among draws of their posterior, from 0 to 1. Dims
        are "dataset", then those of the variable. Uniform if inference is right.
    method : str
        The method of inference: "nuts" or a method of :func:`bayou.fit`.
    errors : mapping of int to str
        The errors of the data sets on which inference failed, which `pit` leaves out.
    """

    pit: xr.Dataset
    method: str
    errors: Mapping[int, str]

    @cached_property
    def p_values(self) -> dict[str, float]:
        """The p-value of a uniform `pit` for each variable, that of its least uniform element.

        It is multiplied by the number of elements of all variables together (Bonferroni).
        """
        # ArviZ takes seconds to import.
        from arviz_stats.base.array import array_stats

        by_element = {
            str(name): np.atleast_1d(
                array_stats.uniformity_test(values.transpose(..., "dataset").values, axis=-1)[0]
            )
            for name, values in self.pit.items()
        }
        return {
            name: min(1.0, self._num_elements * float(np.min(p_values)))
            for name, p_values in by_element.items()
        }

    @property
    def verdicts(self) -> dict[str, bool]:
        """True for each variable that is calibrated, as far as the number of data sets shows.

        If inference is right, at most 1% of calibrations have a variable that is not.
        """
        return {name: p_value >= LEVEL for name, p_value in self.p_values.items()}

    def __bool__(self) -> bool:
        return all(self.verdicts.values())

    def __repr__(self) -> str:
        width = max(map(len, self.verdicts))
        lines = [
            f"  {name:{width}}  {'calibrated' if is_calibrated else 'NOT calibrated'}"
            f"  ({_format(self.p_values[name])}){'' if is_calibrated else self._shape(name)}"
            for name, is_calibrated in self.verdicts.items()
        ]
        failed = f", {len(self.errors)} failed" if self.errors else ""
        head = f"Calibration of {self.method!r} on {self._num_datasets} data sets{failed}:"
        return "\n".join([head, *lines])

    def _shape(self, name: str) -> str:
        """Return how the posteriors of a variable are wrong; nothing if that is not clear."""
        values = self.pit[name].values
        if abs(shift := values.mean() - 0.5) > 0.1:
            return f": posteriors are too {'low' if shift > 0 else 'high'}"
        # The standard deviation of a uniform variable is 1/sqrt(12).
        ratio = values.std() * 12**0.5
        if 0.9 < ratio < 1.1:
            return ""
        return f": posteriors are too {'narrow' if ratio > 1 else 'wide'}"

    def plot(self, **options: Any) -> PlotCollection:
        """Plot how `pit` departs from uniform, for each element of each variable, by ArviZ.

        Parameters
        ----------
        **options
            As for :func:`arviz.plot_ecdf_pit`.

        Returns
        -------
        arviz_plots.PlotCollection
            The empirical distribution function of `pit` less that of a uniform variable, with the
            p-value, corrected as in :attr:`p_values`. Points are marked in elements that are not
            calibrated.
        """
        from arviz import plot_ecdf_pit, rcParams, visuals

        num_elements = self._num_elements
        level = LEVEL / num_elements
        # The larger of the farthest point and of the band around 0 (Dvoretzky, Kiefer, Wolfowitz),
        # and a quarter more for the text.
        band = np.sqrt(np.log(2 / level) / 2 / self._num_datasets)
        height = 1.25 * max(_max_distance(self.pit), band)
        figure: dict[str, object] = {"sharex": True, "sharey": True}
        if options.get("backend", rcParams["plot.backend"]) == "matplotlib":
            figure["layout"] = "constrained"
        parts = {
            "p_value_text": {
                "text": lambda p: _format(min(1.0, num_elements * p)),
                "y": 0.9 * height,
            },
            "xlabel": {"text": "PIT: rank in the posterior"},
            "ylabel": {"text": "Δ ECDF"},
        }
        # ArviZ leaves out the elements of dims without labels.
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
            # ArviZ gives all panels the limits of the last one.
            limits = {"limits": (-height, height), "store_artist": False, "ignore_aes": "all"}
            collection.map(visuals.set_ylim, "ylim", **limits)
        return collection

    @property
    def _num_elements(self) -> int:
        return sum(values.size for values in self.pit.data_vars.values()) // self._num_datasets

    @property
    def _num_datasets(self) -> int:
        return self.pit.sizes["dataset"]


def _format(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _max_distance(pit: xr.Dataset) -> float:
    """Return the largest distance of an element from uniform: the Kolmogorov-Smirnov statistic."""
    distances = [0.0]
    for variable in pit.data_vars.values():
        values = np.sort(variable.transpose("dataset", ...).values, axis=0)
        number = len(values)
        steps = np.arange(number + 1).reshape(-1, *[1] * (values.ndim - 1)) / number
        distances += [(steps[1:] - values).max(), (values - steps[:-1]).max()]
    return float(max(distances))


def pit_values(
    value: Numbers, draws: Numbers, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the ranks of values among draws, from 0 to 1.

    They are uniform if the values are draws of the same distribution: a rank among so many draws is
    one of a finite number, so it is spread evenly between its neighbours.

    Parameters
    ----------
    value : ndarray, shape (...)
    draws : ndarray, shape (num_draws, ...)
        Independent draws.
    generator : numpy.random.Generator
        Spreads the ranks, and places a value among draws that are equal to it.

    Returns
    -------
    ndarray of float64, shape (...)

    Examples
    --------
    >>> draws = np.array([[1.0], [2.0], [3.0]])
    >>> pit_values(np.array([2.5]), draws, np.random.default_rng(0)).round(1)
    array([0.7])
    """
    below = (draws < value).sum(axis=0)
    equal = (draws == value).sum(axis=0)
    spread = generator.uniform(size=np.shape(value)) * (equal + 1)
    return np.asarray((below + spread) / (len(draws) + 1))
