"""Chains of several modes as those of one posterior."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayou.nuts.convergence.chain_diagnostics import variable_diagnostics
from bayou.nuts.convergence.chain_doubts import MAX_RHAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.ladder.mode_chains import ChainRun

    type Array = NDArray[np.float64]


def are_alike(runs: Sequence[ChainRun], free: Sequence[str]) -> bool:
    """Return whether the chains of all runs agree, so that there is one mode after all.

    Parameters
    ----------
    runs : sequence of ChainRun
    free : sequence of str
        The free variables.
    """
    length = min(run.statistics["lp"].shape[1] for run in runs)
    return all(
        variable_diagnostics(np.concatenate([run.draws[name][:, :length] for run in runs]))["rhat"]
        < MAX_RHAT
        for name in free
    )


def join_modes(runs: Sequence[ChainRun], masses: Array, seed: int) -> ChainRun:
    """Return chains that are in each mode as often as its mass says, in random order.

    Parameters
    ----------
    runs : sequence of ChainRun
        One in each mode.
    masses : ndarray, shape (num_modes,)
        They add up to one.
    seed : int
        Decides the order of the draws.
    """
    lengths = np.array([run.statistics["lp"].shape[1] for run in runs])
    total = lengths.min()
    ends = np.round(np.cumsum(masses) * total).astype(int)
    counts = np.diff(ends, prepend=0)
    random = np.random.default_rng(seed)
    num_chains = runs[0].statistics["lp"].shape[0]
    orders = [random.permutation(int(counts.sum())) for _ in range(num_chains)]
    # Evenly spaced draws of each run.
    chosen = [
        np.linspace(0, length - 1, count).round().astype(int)
        for length, count in zip(lengths, counts, strict=True)
    ]

    def mix(parts: list[Numbers]) -> Numbers:
        picked = [part[:, numbers] for part, numbers in zip(parts, chosen, strict=True)]
        joined = np.concatenate(picked, axis=1)
        return np.stack([chain[order] for chain, order in zip(joined, orders, strict=True)])

    return replace(
        runs[0],
        draws={name: mix([run.draws[name] for run in runs]) for name in runs[0].draws},
        statistics={
            name: mix([run.statistics[name] for run in runs]) for name in runs[0].statistics
        },
        rhat=max(run.rhat for run in runs),
        ess=min(run.ess for run in runs),
        divergences=sum(run.divergences for run in runs),
    )
