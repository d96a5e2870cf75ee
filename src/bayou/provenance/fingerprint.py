"""Fingerprints of data and of optimisers: short texts that differ if they do."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.source_variable import window_of
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import read_pieces
from bayou.models.inputs import storage_of
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optax
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Program
    from bayou.feeding.source_feed import AnyOrder

PIECE_ROWS = 2**16


def array_fingerprint(array: Any) -> str:
    """Return the fingerprint of an array: of its dtype, shape and values, and of what is masked.

    It costs a pass over the array, about a second for a GB.

    Examples
    --------
    >>> array_fingerprint(np.arange(3)) == array_fingerprint([0, 1, 2])
    True
    >>> array_fingerprint(np.arange(3)) == array_fingerprint([0.0, 1.0, 2.0])
    False
    """
    values = np.ma.getdata(array)
    found = _begun(values.dtype, values.shape)
    _add(found, values)
    if np.ma.is_masked(array):
        _add(found, np.ma.getmaskarray(array))
    return _text(found)


def window_fingerprints(windows: Sequence[Resident]) -> list[str]:
    """Return the fingerprints of all rows of what is in memory in part.

    They are those of the arrays that all of the rows would make. It costs a pass over each source.
    """
    by_source: dict[int, list[int]] = {}
    for place, window in enumerate(windows):
        by_source.setdefault(id(window.column.source), []).append(place)
    found = [
        _begun(window.column.dtype, (window.num_rows, *window.column.shape)) for window in windows
    ]
    for places in by_source.values():
        layout = ColumnLayout(tuple(windows[place].column for place in places))
        for piece in read_pieces(layout, windows[places[0]].blocks, PIECE_ROWS):
            for place, values in zip(places, piece, strict=True):
                _add(found[place], values)
    return list(map(_text, found))


def data_fingerprint(model: pm.Model, program: Program) -> str:
    """Return the fingerprint of the values that a model is conditioned on.

    Of a generator it is that of the first item. It costs a pass over all of the data.
    """
    held = [(variable, window_of(storage_of(variable))) for variable in program.fed]
    values = [
        variable.owner.op.adapter.first
        if isinstance(variable.owner.op, GeneratorOp)
        else storage_of(variable).get_value(borrow=True)
        for variable, window in held
        if window is None
    ]
    values += [variable.get_value(borrow=True) for variable in program.data]
    graphs = [model.logp()]
    constants = [found.data for found in ancestors(graphs) if isinstance(found, Constant)]
    parts = window_fingerprints([window for _, window in held if window is not None])
    parts += [array_fingerprint(value) for value in [*values, *constants] if np.ndim(value)]
    return digest(*parts)


def _begun(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    return hashlib.sha256(f"{dtype.newbyteorder('<').str} {shape}".encode())


def _add(found: Any, values: NDArray[Any]) -> None:
    found.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")))


def _text(found: Any) -> str:
    text: str = found.hexdigest()[:32]
    return text


def order_fingerprint(order: AnyOrder) -> str:
    """Return the name of an order, or the fingerprint of its probabilities or strata."""
    if isinstance(order, str):
        return order
    return digest(pickle.dumps(order))


def optimiser_fingerprint(optimiser: optax.GradientTransformation | None) -> str:
    """Return the fingerprint of what an optimiser computes, rates and schedules included."""
    if optimiser is None:
        return "adam"
    params = jnp.zeros(2)
    computed = jax.make_jaxpr(optimiser.update)(params, optimiser.init(params), params)
    text = f"{computed}{[np.asarray(constant).tolist() for constant in computed.consts]}"
    return digest(text)
