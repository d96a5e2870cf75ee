"""The random generator of fits: SplitMix64 (Steele, Lea and Flood 2014) as a generator of JAX.

The noise of step t is a function of (seed, t), so that a resumed fit draws the same. JAX's own
generators have the same property, and were measured instead of this one with JAX 0.12 on two busy
cores, normals of a step by ``fold_in`` and ``normal`` in a loop, 64 steps:

- Threefry takes 1.0 to 1.8 times as long (128 x 500, 4 x 100 and 1 x 20 normals), ``rbg`` and
  ``unsafe_rbg`` 1.1 to 5.7 times.
- Each compiles in 1.1 to 2.0 s for a first step, where this takes 0.35 to 0.6 s.

A change of generator would also change the bits of fits that are resumed from a checkpoint.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl

from bayou.sampling.uniform import GOLDEN, mix

_WORDS = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32, 64: jnp.uint64}


def noise_key(seed: int | jax.Array) -> jax.Array:
    """Return a key for :mod:`jax.random`, by which the noise of a fit is drawn.

    Parameters
    ----------
    seed : int or jax.Array, shape ()
        Decides all that is drawn.
    """
    # SplitMix64 needs integers of 64 bits; without them, JAX's default generator is taken.
    return jax.random.key(seed, impl=_SPLITMIX if jax.config.jax_enable_x64 else None)


def _pack(key: jax.Array) -> jax.Array:
    """Join the two words of a key, shape (2,), into one number."""
    words = key.astype(jnp.uint64)
    return (words[0] << np.uint64(32)) | words[1]


def _unpack(number: jax.Array) -> jax.Array:
    """Split numbers, shape (...), into the two words of keys, shape (..., 2)."""
    high, low = number >> np.uint64(32), number & np.uint64(0xFFFFFFFF)
    return jnp.stack([high, low], axis=-1).astype(jnp.uint32)


def _seed(seed: jax.Array) -> jax.Array:
    return _unpack(mix(jnp.asarray(seed).astype(jnp.uint64) + GOLDEN))


def _draw(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return 64 random bits for each element of a shape."""
    size = int(np.prod(shape, dtype=np.int64))
    # The state of SplitMix64 is a counter in steps of GOLDEN, so all draws are had at once.
    counter = (jnp.arange(size, dtype=jnp.uint64) + np.uint64(1)) * GOLDEN
    bits: jax.Array = mix(_pack(key) + counter).reshape(shape)
    return bits


def _fold_in(key: jax.Array, data: int) -> jax.Array:
    return _unpack(mix(_pack(key) + mix(jnp.asarray(data).astype(jnp.uint64) + GOLDEN)))


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return _unpack(_draw(key, shape))


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    # The high bits, which are the best mixed.
    bits = _draw(key, shape) >> np.uint64(64 - bit_width)
    return bits.astype(_WORDS[bit_width])


_SPLITMIX = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    fold_in=_fold_in,
    random_bits=_random_bits,
    name="bayou_splitmix",
    tag="bsm",
)
