"""A graph as text that is the same in each process, to name the code that was compiled of it."""

from __future__ import annotations

import hashlib
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Constant
from pytensor.graph.op import Op
from pytensor.graph.traversal import io_toposort
from pytensor.graph.type import Type
from pytensor.scalar.basic import ScalarOp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable

# Values whose text says all about them.
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.generic)


class NoTextError(Exception):
    """A graph has a part whose text would not say all about it."""


def graph_text(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> str:
    """Return the operations of graphs in their order, with types and the digests of constants.

    Raises
    ------
    NoTextError
        If an operation has parts that are no operations, types or plain values, such as functions
        written inside of others.
    """
    references: dict[Variable, str] = {variable: f"i{n}" for n, variable in enumerate(inputs)}

    def reference(variable: Variable) -> str:
        if isinstance(variable, Constant):
            return f"{_text(variable.type)} {_constant_text(variable.data)}"
        return references[variable]

    lines = [_text(variable.type) for variable in inputs]
    for number, node in enumerate(io_toposort(inputs, outputs)):
        arguments = ", ".join(map(reference, node.inputs))
        types = ", ".join(_text(output.type) for output in node.outputs)
        lines.append(f"{_text(node.op)}({arguments}) -> {types}")
        references |= {output: f"n{number}.{place}" for place, output in enumerate(node.outputs)}
    return "\n".join([*lines, *map(reference, outputs)])


def _constant_text(data: Any) -> str:
    if isinstance(data, np.ndarray) and data.dtype.kind in "biufc":
        content = hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()
        return f"{data.dtype.str}{data.shape}{content}"
    return _text(data)


def _text(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    if isinstance(value, slice):
        return f"slice{_text([value.start, value.stop, value.step])}"
    if isinstance(value, dict):
        return f"dict{_text(list(value.items()))}"
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        if "<" in value.__qualname__:
            raise NoTextError(_name(value))
        return _name(value)
    return _object_text(value)


def _object_text(value: Any) -> str:
    kind = type(value)
    if isinstance(value, Op | Type):
        # Scalar operations are their class and the types of their outputs.
        names = getattr(kind, "__props__", () if isinstance(value, ScalarOp) else None)
        if names is None or hasattr(value, "fgraph"):
            raise NoTextError(repr(value))
        names = (*names, "output_types_preference")
        return f"{_name(kind)}{_text([getattr(value, name, None) for name in names])}"
    # Small objects such as PyTensor's rules of output types.
    if kind.__module__.startswith("pytensor.") and hasattr(value, "__dict__"):
        return f"{_name(kind)}{_text(vars(value))}"
    raise NoTextError(repr(value))


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
