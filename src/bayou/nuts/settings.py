"""The settings of a run of NUTS, which check themselves, and its seed."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from bayou.arguments import RandomSeed, seed_number, whole_number
from bayou.cluster.cores import usable_cores

# The seed of nutpie, and a word of NumPy's SeedSequence, are unsigned numbers of 64 bits.
SEED_LIMIT = 2**64
_HINT = (
    "1000 draws after 1000 tuning steps in 4 chains suit most models. A model goes into `model=`."
)
# Tuning steps of chains that know nothing of the posterior.
DEFAULT_TUNE = 1000
# How a chain learns the scale of the variables; the names are nutpie's.
ADAPTATIONS = ("diag", "low_rank")
# A trajectory has at most 2**depth steps, which the samplers count in 64 bits.
MAX_TREEDEPTH = 60
# Settings that folders of results of version 0.1 do not record.
_NEWER = ("target_accept", "max_treedepth", "adaptation")


@dataclass(frozen=True)
class NutsSettings:
    """The length of a run of NUTS, and how its trajectories are made.

    Attributes
    ----------
    draws : int, default 1000
        Draws of each chain.
    tune : int, default 1000
        Steps of each chain before its draws, which adapt the step size and the mass matrix.
    chains : int, default 4
        Chains.
    target_accept : float, default 0.8
        The mean acceptance probability that tuning aims at.
    max_treedepth : int, default 10
        A trajectory has at most ``2**max_treedepth`` steps.
    adaptation : {"diag", "low_rank"}, default "diag"
        The kind of the mass matrix.
    cores : int, optional
        The most cores to use; by default all that this process may use.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    target_accept: float = 0.8
    max_treedepth: int = 10
    adaptation: str = "diag"
    cores: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and turn those of NumPy into Python's."""
        for name, least in (("draws", 1), ("tune", 0), ("chains", 1)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least, _HINT))
        object.__setattr__(self, "target_accept", _target_accept(self.target_accept))
        object.__setattr__(self, "max_treedepth", _max_treedepth(self.max_treedepth))
        if self.adaptation not in ADAPTATIONS:
            raise ValueError(
                f"`adaptation` must be one of {ADAPTATIONS}, got {self.adaptation!r}.\n"
                'Hint: "diag" suits most models; "low_rank" learns strong correlations too.'
            )
        if self.cores is not None:
            hint = "leave it out to use all cores."
            object.__setattr__(self, "cores", whole_number("cores", self.cores, 1, hint))

    @property
    def num_tuning_steps(self) -> int:
        """Tuning steps that run: at least one, since the first one finds the step size."""
        return max(self.tune, 1)

    @property
    def num_parallel(self) -> int:
        """Chains that run side by side."""
        return min(self.chains, self.num_cores)

    @property
    def num_cores(self) -> int:
        """Cores to use: no more than this process may use."""
        return min(self.cores or usable_cores(), usable_cores())

    def recorded(self) -> dict[str, object]:
        """Return what draws depend on, as results in a folder record it.

        Defaults of what earlier versions did not have are left out, so that their folders go on.
        """
        newer = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name in _NEWER and getattr(self, field.name) != field.default
        }
        return {"draws": self.draws, "tune": self.tune, "chains": self.chains, **newer}


def _target_accept(value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.floating | np.integer)
        or not 0 < value < 1
    ):
        raise ValueError(
            f"`target_accept` must be a number between 0 and 1, got {value!r}.\n"
            "Hint: 0.8 suits most models; 0.9 to 0.99 takes smaller steps where some diverge."
        )
    return float(value)


def _max_treedepth(value: object) -> int:
    hint = "10 suits most models; each more doubles the longest trajectory."
    depth = whole_number("max_treedepth", value, 1, hint)
    if depth > MAX_TREEDEPTH:
        raise ValueError(
            f"`max_treedepth` must be at most {MAX_TREEDEPTH}, got {depth}.\nHint: {hint}"
        )
    return depth


def nuts_seed(random_seed: RandomSeed | None) -> int | None:
    """Return the number that a seed stands for, below 2**64; None for None.

    Raises
    ------
    ValueError
        If it stands for none, or for a larger number.
    """
    seed = seed_number(random_seed)
    if seed is not None and seed >= SEED_LIMIT:
        raise ValueError(
            f"`random_seed` must be below 2**64, got {seed}.\n"
            "Hint: pass a smaller number, and the same one for the same draws."
        )
    return seed
