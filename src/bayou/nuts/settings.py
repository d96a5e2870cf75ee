"""The settings of a run of NUTS, which check themselves, and its seed."""

from __future__ import annotations

from dataclasses import dataclass

from bayou.arguments import RandomSeed, seed_number, whole_number

# The seed of nutpie, and a word of NumPy's SeedSequence, are unsigned numbers of 64 bits.
SEED_LIMIT = 2**64
_HINT = (
    "1000 draws after 1000 tuning steps in 4 chains suit most models. A model goes into `model=`."
)


@dataclass(frozen=True)
class NutsSettings:
    """The length of a run of NUTS.

    Attributes
    ----------
    draws : int, default 1000
        Draws of each chain.
    tune : int, default 1000
        Steps of each chain before its draws, which adapt the step size and the mass matrix.
    chains : int, default 4
        Chains.

    Raises
    ------
    ValueError
        If one is not a whole number, `draws` or `chains` is below 1, or `tune` below 0.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4

    def __post_init__(self) -> None:
        """Check the numbers, and turn those of NumPy into Python's."""
        for name, least in (("draws", 1), ("tune", 0), ("chains", 1)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least, _HINT))

    @property
    def num_tuning_steps(self) -> int:
        """Tuning steps that run: at least one, since the first one finds the step size."""
        return max(self.tune, 1)


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
