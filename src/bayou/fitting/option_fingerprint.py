"""Fingerprints of the options of a fit, so that a run resumes with the same ones alone."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from bayou.text import digest

if TYPE_CHECKING:
    import optax

    from bayou.feeding.source_batches import AnyOrder


def order_fingerprint(order: AnyOrder) -> str:
    """Return the name of an order of rows, or the digest of its probabilities or strata."""
    if isinstance(order, str):
        return order
    return digest(pickle.dumps(order))


def optimizer_fingerprint(optimizer: optax.GradientTransformation | None) -> str:
    """Return the digest of the computation of an optimizer; "adam" for the default.

    An optimizer of optax is a pair of functions. Its traced update has all constants in it: rates,
    decays and schedules.
    """
    if optimizer is None:
        return "adam"
    params = jnp.zeros(2)
    traced = jax.make_jaxpr(optimizer.update)(params, optimizer.init(params), params)
    return digest(f"{traced}{[np.asarray(constant).tolist() for constant in traced.consts]}")
