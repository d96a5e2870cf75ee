"""nutpie's trace as NumPy arrays, and the attributes that results of a sampler have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.nuts.settings import NutsSettings

# nutpie's statistics of a draw -> their names in ArviZ.
_ARVIZ_NAMES = {
    "logp": "lp",
    "energy": "energy",
    "energy_error": "energy_error",
    "max_energy_error": "max_energy_error",
    "diverging": "diverging",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "n_steps": "n_steps",
    "index_in_trajectory": "index_in_trajectory",
    "step_size": "step_size",
    "step_size_bar": "step_size_bar",
    "mean_tree_accept": "acceptance_rate",
}
ALL_STATISTICS = tuple(_ARVIZ_NAMES.values())
# Those that ArviZ's functions read, which every sampler of many data sets returns.
STATISTICS = (
    "lp",
    "energy",
    "diverging",
    "tree_depth",
    "reached_max_treedepth",
    "n_steps",
    "acceptance_rate",
)


class ChainProgress(Protocol):
    """How far a chain of nutpie is, as it says while it runs."""

    finished_draws: int
    tuning: bool
    divergences: int


class NutpieTrace(Protocol):
    """The trace of nutpie's chains, as it is before nutpie makes an ArviZ object of it."""

    def get_arrow_trace(self) -> tuple[Sequence[pa.RecordBatch], Sequence[pa.RecordBatch]]:
        """Return Arrow batches of draws, and of statistics, one each for a chain."""


@dataclass(frozen=True, eq=False)
class TakenTrace:
    """A trace that can be read several times: nutpie's gives its batches once.

    Attributes
    ----------
    batches : tuple
        What :meth:`NutpieTrace.get_arrow_trace` returned.
    """

    batches: tuple[Sequence[pa.RecordBatch], Sequence[pa.RecordBatch]]

    @classmethod
    def of(cls, trace: NutpieTrace) -> TakenTrace:
        """Take the batches of a trace."""
        return cls(trace.get_arrow_trace())

    def get_arrow_trace(self) -> tuple[Sequence[pa.RecordBatch], Sequence[pa.RecordBatch]]:
        """Return the batches."""
        return self.batches


@dataclass(frozen=True, eq=False)
class ChainDraws:
    """Draws of chains with their statistics.

    Attributes
    ----------
    flat : ndarray of float64, shape (num_chains, num_draws, size)
        All variables of a draw, one after the other.
    statistics : dict of str to ndarray, shape (num_chains, num_draws)
        By their names in ArviZ.
    """

    flat: NDArray[np.float64]
    statistics: dict[str, Numbers]


@dataclass(frozen=True, eq=False)
class ChainBatches:
    """Arrow batches of chains, of the same number of draws each.

    Attributes
    ----------
    draws, statistics : list of pyarrow.RecordBatch
        A chain each; tuning steps come first.
    num_tuned : tuple of int
        Tuning steps of each chain.
    num_draws : int
        Draws after these.
    """

    draws: list[pa.RecordBatch]
    statistics: list[pa.RecordBatch]
    num_tuned: tuple[int, ...]
    num_draws: int

    @classmethod
    def of(cls, trace: NutpieTrace, most: int | None = None) -> ChainBatches:
        """Return the batches of nutpie's trace, or the first draws of each chain, `most` of them.

        Of an interrupted run, the chains with at least so many draws, and so many of each, that the
        most draws are kept: chains that had just begun do not cost the draws of the others.

        Raises
        ------
        KeyboardInterrupt
            If no chain has a draw after tuning.
        """
        draws, statistics = (
            [pa.record_batch(batch) for batch in batches] for batches in trace.get_arrow_trace()
        )
        num_tuned = [int(_to_numpy(batch["tuning"]).sum()) for batch in statistics]
        lengths = [len(batch) - tuned for batch, tuned in zip(statistics, num_tuned, strict=True)]
        if most is not None:
            lengths = [min(length, most) for length in lengths]
        num_draws = max(lengths, key=lambda length: length * sum(n >= length for n in lengths))
        if num_draws == 0:
            raise KeyboardInterrupt(
                "The keyboard stopped the chains while they were tuned, before there was a draw."
            )
        chains = [chain for chain, length in enumerate(lengths) if length >= num_draws]
        return cls(
            [draws[chain] for chain in chains],
            [statistics[chain] for chain in chains],
            tuple(num_tuned[chain] for chain in chains),
            num_draws,
        )

    @classmethod
    def of_all_chains(cls, trace: NutpieTrace, tune: int) -> ChainBatches:
        """Return the batches of all chains of a run that goes on: the draws that all of them have.

        Parameters
        ----------
        trace : NutpieTrace
        tune : int
            The tuning steps of each chain.
        """
        draws, statistics = (
            [pa.record_batch(batch) for batch in batches] for batches in trace.get_arrow_trace()
        )
        number = min(len(batch) for batch in statistics) - tune
        return cls(draws, statistics, (tune,) * len(draws), max(0, number))

    def after(self, number: int) -> ChainBatches:
        """Return the draws after the first ones."""
        begins = tuple(tuned + number for tuned in self.num_tuned)
        return replace(self, num_tuned=begins, num_draws=self.num_draws - number)

    def read_coordinates(self, size: int) -> NDArray[np.float64]:
        """Read the coordinates of draws, shape (chains, draws, size), if nutpie stored them."""
        columns = [
            batch["unconstrained_draw"].slice(begin, self.num_draws)
            for batch, begin in zip(self.statistics, self.num_tuned, strict=True)
        ]
        return np.stack([_to_numpy(column.flatten()).reshape(-1, size) for column in columns])

    def read_draws(self, size: int, statistics: Iterable[str] = ALL_STATISTICS) -> ChainDraws:
        """Read the draws after tuning, of which each has `size` numbers, and some statistics."""
        return self._read(self.num_tuned, self.num_draws, size, statistics)

    def read_tuning(self, size: int) -> ChainDraws:
        """Read the tuning steps, as many as all chains have, and their statistics."""
        return self._read([0] * len(self.draws), min(self.num_tuned), size, ALL_STATISTICS)

    def _read(
        self, begins: Sequence[int], number: int, size: int, statistics: Iterable[str]
    ) -> ChainDraws:
        def stack_chains(batches: list[pa.RecordBatch], name: str, *shape: int) -> NDArray[Any]:
            columns = [
                batch[name].slice(begin, number)
                for batch, begin in zip(batches, begins, strict=True)
            ]
            return np.stack(
                [
                    _to_numpy(column.flatten() if shape else column).reshape(-1, *shape)
                    for column in columns
                ]
            )

        wanted = set(statistics)
        return ChainDraws(
            stack_chains(self.draws, "draws", size),
            {
                arviz_name: stack_chains(self.statistics, nutpie_name)
                for nutpie_name, arviz_name in _ARVIZ_NAMES.items()
                if arviz_name in wanted
            },
        )


def sampler_attrs(settings: NutsSettings, library: str = "nutpie") -> dict[str, object]:
    """Return the attributes of results: the sampler, its version and the tuning steps."""
    return {
        "inference_library": library,
        "inference_library_version": _version(library),
        "tuning_steps": settings.tune,
    }


# It parses the metadata of the library, for 8 ms.
_version = cache(version)


def _to_numpy(column: pa.Array) -> NDArray[Any]:
    return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
