"""The module ``theanof`` of PyMC3: ``floatX``, generators, and Theano's random streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pymc.pytensorf import floatX, intX
from pytensor.tensor.random.variable import RandomGeneratorSharedVariable

from bayou import generator
from bayou.containers.variables.generator import GeneratorOp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    type Size = int | Sequence[int] | TensorVariable | None
    type Parameter = TensorVariable | ArrayLike

__all__ = ["GeneratorOp", "RandomStream", "floatX", "generator", "intX", "set_tt_rng", "tt_rng"]


class AdvancingGenerator(RandomGeneratorSharedVariable):
    """A random generator that every call of a compiled function advances."""

    advanced: Variable | None = None

    @property
    def default_update(self) -> Variable | None:
        """The generator after the draw; PyTensor adds the update to every function that draws."""
        return self.advanced


class RandomStream:
    """Random variables as those of Theano's streams: each evaluation draws new values.

    Parameters
    ----------
    seed : int, optional
        The seed of the stream. By default each stream differs.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seeds = np.random.SeedSequence(seed)

    def uniform(
        self, size: Size = None, low: Parameter = 0.0, high: Parameter = 1.0
    ) -> TensorVariable:
        """Return uniform draws from ``[low, high)``."""
        return self._draw(pt.random.uniform, low, high, size=size)

    def normal(
        self, size: Size = None, avg: Parameter = 0.0, std: Parameter = 1.0
    ) -> TensorVariable:
        """Return normal draws of mean ``avg`` and standard deviation ``std``."""
        return self._draw(pt.random.normal, avg, std, size=size)

    def binomial(self, size: Size = None, n: Parameter = 1, p: Parameter = 0.5) -> TensorVariable:
        """Return the number of successes in ``n`` trials of probability ``p``."""
        return self._draw(pt.random.binomial, n, p, size=size)

    def _draw(
        self, distribution: Callable[..., list[TensorVariable]], *parameters: Parameter, size: Size
    ) -> TensorVariable:
        state = np.random.default_rng(self.seeds.spawn(1)[0])
        rng = AdvancingGenerator(
            type=pt.random.type.random_generator_type, value=state, strict=False
        )
        rng.advanced, draw = distribution(*parameters, size=size, rng=rng, return_next_rng=True)
        return draw


_package_stream = RandomStream()


def tt_rng(random_seed: int | None = None) -> RandomStream:
    """Return a random stream: one of a seed, or else the one that the package shares.

    Parameters
    ----------
    random_seed : int, optional
        The seed of a new stream. By default the shared stream is returned.

    Returns
    -------
    RandomStream
        A stream with ``uniform``, ``normal`` and ``binomial``.

    Examples
    --------
    >>> draw = tt_rng(1).uniform(size=(2, 3), low=0, high=9).astype("int64")
    >>> draw.eval().shape
    (2, 3)
    """
    return _package_stream if random_seed is None else RandomStream(random_seed)


def set_tt_rng(new_rng: int | RandomStream) -> None:
    """Set the stream that the package shares, which :func:`tt_rng` returns without a seed.

    Parameters
    ----------
    new_rng : int or RandomStream
        The seed of the new stream, or the stream itself.
    """
    global _package_stream  # noqa: PLW0603 (PyMC3's interface is one stream for the package)
    _package_stream = new_rng if isinstance(new_rng, RandomStream) else RandomStream(new_rng)
