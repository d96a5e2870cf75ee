"""Samplers of JAX for the distributions that need no rejection sampling.

Draws are a function of a key alone. Gamma, Poisson and the distributions that are composed of them
are left to NumPy: under vmap, rejection sampling runs until the last element of all is accepted,
which takes tens of times as long on a CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import pytensor.tensor as pt
import pytensor.tensor.random.basic as basic
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

from bayou.models.random_variables import logit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from pytensor.graph.basic import Variable
    from pytensor.graph.op import OutputStorageType

    from bayou.models.random_variables import RandomNode

type Shape = tuple[int, ...]
type Sampler = Callable[..., jax.Array]
"""(key, shape of the draws, *parameters) -> draws. The parameters broadcast to the shape."""


def _normal(key: jax.Array, shape: Shape, mean: jax.Array, std: jax.Array) -> jax.Array:
    return mean + std * jax.random.normal(key, shape, _float(mean, std))


def _uniform(key: jax.Array, shape: Shape, low: jax.Array, high: jax.Array) -> jax.Array:
    return low + (high - low) * jax.random.uniform(key, shape, _float(low, high))


def _exponential(key: jax.Array, shape: Shape, scale: jax.Array) -> jax.Array:
    return scale * jax.random.exponential(key, shape, _float(scale))


def _weibull(key: jax.Array, shape: Shape, power: jax.Array) -> jax.Array:
    return jax.random.exponential(key, shape, _float(power)) ** (1 / power)


def _pareto(key: jax.Array, shape: Shape, power: jax.Array, scale: jax.Array) -> jax.Array:
    return scale * jnp.exp(jax.random.exponential(key, shape, _float(power)) / power)


# By inversion of the distribution function, as numpy.random.Generator.triangular.
def _triangular(
    key: jax.Array, shape: Shape, left: jax.Array, mode: jax.Array, right: jax.Array
) -> jax.Array:
    probability = jax.random.uniform(key, shape, _float(left, mode, right))
    width = right - left
    rising = left + jnp.sqrt(probability * width * (mode - left))
    falling = right - jnp.sqrt((1 - probability) * width * (right - mode))
    return jnp.where(probability * width < mode - left, rising, falling)


def _bernoulli(key: jax.Array, shape: Shape, probability: jax.Array) -> jax.Array:
    return jax.random.uniform(key, shape, _float(probability)) < probability


def _bernoulli_by_logit(key: jax.Array, shape: Shape, logit: jax.Array) -> jax.Array:
    # uniform < 1 / (1 + exp(-logit)), without the division, which is the slower operation.
    return jax.random.uniform(key, shape, _float(logit)) * (1 + jnp.exp(-logit)) < 1


def _categorical(key: jax.Array, shape: Shape, probabilities: jax.Array) -> jax.Array:
    # Probabilities may sum to slightly less or more than 1.
    sums = jnp.cumsum(probabilities, axis=-1)
    level = jax.random.uniform(key, shape, sums.dtype)[..., None] * sums[..., -1:]
    return (level >= sums[..., :-1]).sum(axis=-1)


def _geometric(key: jax.Array, shape: Shape, probability: jax.Array) -> jax.Array:
    rate = -jnp.log1p(-probability)
    number = jnp.ceil(jax.random.exponential(key, shape, _float(probability)) / rate)
    return jnp.maximum(number, 1)


def _multivariate_normal(
    key: jax.Array, shape: Shape, mean: jax.Array, covariance: jax.Array
) -> jax.Array:
    factor = jnp.linalg.cholesky(covariance)
    standard = jax.random.normal(key, shape, _float(mean, covariance))
    return mean + jnp.einsum("...ij,...j->...i", factor, standard)


def _located(draw: Sampler) -> Sampler:
    """Return the sampler of a family of a location and a scale from its standard one."""

    def sampler(key: jax.Array, shape: Shape, location: jax.Array, scale: jax.Array) -> jax.Array:
        return location + scale * draw(key, shape, _float(location, scale))

    return sampler


def _positive(draw: Sampler) -> Sampler:
    """Return the sampler of the absolute values of a symmetric standard distribution."""

    def sampler(key: jax.Array, shape: Shape, location: jax.Array, scale: jax.Array) -> jax.Array:
        return location + scale * jnp.abs(draw(key, shape, _float(location, scale)))

    return sampler


def _float(*parameters: jax.Array) -> np.dtype:
    """Return the dtype to draw in: that of the parameters, or single precision for integers."""
    return jnp.result_type(*parameters, jnp.float32)


# For every distribution that is drawn by JAX; tests compare each with PyTensor's draws.
SAMPLERS: dict[type, Sampler] = {
    basic.NormalRV: _normal,
    basic.HalfNormalRV: _positive(jax.random.normal),
    basic.LogNormalRV: lambda *arguments: jnp.exp(_normal(*arguments)),
    basic.UniformRV: _uniform,
    basic.ExponentialRV: _exponential,
    basic.LaplaceRV: _located(jax.random.laplace),
    basic.LogisticRV: _located(jax.random.logistic),
    basic.GumbelRV: _located(jax.random.gumbel),
    basic.CauchyRV: _located(jax.random.cauchy),
    basic.HalfCauchyRV: _positive(jax.random.cauchy),
    basic.WeibullRV: _weibull,
    basic.ParetoRV: _pareto,
    basic.TriangularRV: _triangular,
    basic.BernoulliRV: _bernoulli,
    basic.CategoricalRV: _categorical,
    basic.GeometricRV: _geometric,
    basic.MvNormalRV: _multivariate_normal,
}


class Draw(Op):
    """An operation that draws by a key. It exists for JAX alone.

    Parameters
    ----------
    sampler : callable
        Draws.
    index : int
        The number of the random variable in its graph, so that each has random numbers of its own.
    shape : tuple of int
        The shape of the draws, which JAX needs when it compiles.
    dtype : str
        The dtype of the draws.
    """

    __props__ = ("sampler", "index", "shape", "dtype")

    def __init__(self, sampler: Sampler, index: int, shape: tuple[int, ...], dtype: str) -> None:
        self.sampler = sampler
        self.index = index
        self.shape = shape
        self.dtype = dtype

    def make_node(self, key: Variable, *parameters: Variable) -> Apply[Draw]:
        """Return the node that draws."""
        return Apply(self, [key, *parameters], [pt.TensorType(self.dtype, shape=self.shape)()])

    def perform(
        self, node: Apply[Draw], inputs: Sequence[object], output_storage: OutputStorageType
    ) -> None:
        """Raise: PyTensor does not draw by keys."""
        raise NotImplementedError("only JAX draws by keys")


def draw_by_key(node: RandomNode, key: Variable, index: int, shape: tuple[int, ...]) -> Variable:
    """Return a variable that is drawn as a random one is, by a key.

    Parameters
    ----------
    node : RandomNode
        The random variable, of a distribution in ``SAMPLERS``.
    key : Variable
        The key, an input of the graph.
    index : int
        The number of the random variable in its graph.
    shape : tuple of int
        The shape of the draws.
    """
    sampler, parameters = SAMPLERS[type(node.op)], node.parameters
    if sampler is _bernoulli:
        logit = logit_of(*parameters)
        if logit is not None:
            sampler, parameters = _bernoulli_by_logit, (logit,)
    draw = Draw(sampler, index, shape, node.value.type.dtype)
    return draw(key, *parameters)


@jax_funcify.register(Draw)
def _jax_draw(op: Draw, **kwargs: object) -> Callable[..., jax.Array]:
    def draw(key: jax.Array, *parameters: jax.Array) -> jax.Array:
        values = op.sampler(jax.random.fold_in(key, op.index), op.shape, *parameters)
        return values.astype(jax.dtypes.canonicalize_dtype(op.dtype))

    return draw
