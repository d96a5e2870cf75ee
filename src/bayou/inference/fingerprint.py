"""Fingerprints of data and of optimisers: short texts that differ if they do."""

from __future__ import annotations

import hashlib
import pickle
from itertools import groupby
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayou.containers.generator import GeneratorOp
from bayou.containers.resident import streamed
from bayou.feeding.layout import Layout
from bayou.feeding.read import read_pieces
from bayou.inference.roots import group_of, storage_of

if TYPE_CHECKING:
    import optax
    import pymc as pm

    from bayou.feeding.source_feed import AnyOrder
    from bayou.inference.program import Program

PIECE_ROWS = 2**16


def data_fingerprint(model: pm.Model, program: Program) -> str:
    """Return the fingerprint of the values that a model is conditioned on.

    Of a generator it is that of the first item. It costs a pass over all of the data.
    """
    values = [
        variable.owner.op.adapter.first
        if isinstance(variable.owner.op, GeneratorOp)
        else storage_of(variable).get_value(borrow=True)
        for variable in program.fed
        if streamed(storage_of(variable)) is None
    ]
    values += [variable.get_value(borrow=True) for variable in program.data]
    graphs = [model.logp()]
    constants = [found.data for found in ancestors(graphs) if isinstance(found, Constant)]
    arrays = [np.asarray(value) for value in [*values, *constants] if np.ndim(value)]
    found = hashlib.sha256()
    for _, variables in groupby(program.fed, key=group_of):
        windows = [window for window in map(streamed, map(storage_of, variables)) if window]
        if windows:
            layout = Layout(tuple(window.column for window in windows))
            for piece in read_pieces(layout, windows[0].blocks, PIECE_ROWS):
                for array in piece:
                    found.update(np.ascontiguousarray(array))
    for array in arrays:
        found.update(str((array.dtype, array.shape)).encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:32]


def order_fingerprint(order: AnyOrder) -> str:
    """Return the name of an order, or the fingerprint of its probabilities or strata."""
    if isinstance(order, str):
        return order
    return hashlib.sha256(pickle.dumps(order)).hexdigest()[:32]


def optimiser_fingerprint(optimiser: optax.GradientTransformation | None) -> str:
    """Return the fingerprint of what an optimiser computes, rates and schedules included."""
    if optimiser is None:
        return "adam"
    params = jnp.zeros(2)
    computed = jax.make_jaxpr(optimiser.update)(params, optimiser.init(params), params)
    text = f"{computed}{[np.asarray(constant).tolist() for constant in computed.consts]}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
