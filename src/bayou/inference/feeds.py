"""The feeds of a program: each fed variable of a model with the rows that it draws from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.generator import GeneratorOp
from bayou.feeding.feed import Feed, ItemFeed, SliceFeed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.inference.program import Inputs, Program


def program_feeds(program: Program) -> tuple[Feed, ...]:
    """Return a feed for each of ``program.fed``, over the data as they are now."""
    return tuple(_feed(variable) for variable in program.fed)


def full_inputs(program: Program) -> Inputs:
    """Return the inputs of a program on all rows: each slice is its whole storage."""
    return (
        tuple(variable.owner.inputs[0].get_value(borrow=True) for variable in program.fed)
        + program.data_values()
    )


def first_inputs(program: Program) -> Inputs:
    """Return one batch for each fed variable, and the data; nothing is taken from a generator."""
    return tuple(_peek(variable) for variable in program.fed) + program.data_values()


def _peek(variable: TensorVariable) -> NDArray[Any]:
    operation: Any = variable.owner.op
    if isinstance(operation, GeneratorOp):
        return np.asarray(operation.adapter.first)
    return np.asarray(_feed(variable).stack(0, 1)[0])


def _feed(variable: TensorVariable) -> Feed:
    operation = variable.owner.op
    if isinstance(operation, GeneratorOp):
        first = operation.adapter.first
        return ItemFeed(operation.next_item.take, variable.name or "generator", first.nbytes)
    storage = variable.owner.inputs[0]
    return SliceFeed(storage.get_value(borrow=True), operation.samples)
