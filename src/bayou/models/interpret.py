"""Graphs evaluated without a compiler, for work that is too little to pay for one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pytensor.compile.executor import Function
    from pytensor.graph.basic import Variable
    from pytensor.link.basic import Container

    from bayou.containers.variables.dims import Numbers


type ContainerValues = Mapping[Container, Numbers]
"""Values by PyTensor's containers of shared variables, which clones of one variable share."""


class Interpreter:
    """Function that runs graphs operation by operation, with NumPy, from any thread.

    Where a parameter of a distribution is out of range, or a value that PyMC checks alike (counts
    that do not add up to the ``n`` of a Multinomial), the density is -inf.

    Parameters
    ----------
    inputs : sequence of Variable
        The arguments of the function. Reals are taken in any precision.
    outputs : sequence of Variable
        The graphs.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        # Few rewrites, no C code and no Numba: it is there in milliseconds, where compilers take
        # seconds.
        mode = Mode("py", "fast_compile").including("local_check_parameter_to_ninf_switch")
        with pytensor.config.change_flags(cxx=""):
            self._function: Function = pytensor.function(
                inputs, outputs, mode=mode, on_unused_input="ignore"
            )
        dtypes = (str(getattr(variable.type, "dtype", "")) for variable in inputs)
        self._dtypes = [dtype if dtype.startswith("float") else None for dtype in dtypes]
        # The function has its values in itself, where those of another thread would mix in.
        self._lock = threading.Lock()

    @property
    def graphs(self) -> list[Variable]:
        """The graphs that are run, in which a random generator can be seeded."""
        return self._function.maker.fgraph.outputs  # type: ignore[no-any-return]

    def __call__(self, *values: object) -> list[NDArray[Any]]:
        """Return one array for each output."""
        arguments = [
            value if dtype is None else np.asarray(value, dtype)
            for value, dtype in zip(values, self._dtypes, strict=True)
        ]
        with self._lock:
            return self._function(*arguments)  # type: ignore[no-any-return]


def compile_interpreter(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Interpreter:
    """Return a function of one array for each input to one array for each output."""
    return Interpreter(inputs, outputs)


class SharedInterpreter:
    """Interpreter of graphs that takes other values of shared variables than the present ones.

    Parameters
    ----------
    inputs : sequence of Variable
        The arguments besides the shared variables.
    outputs : sequence of Variable
        The graphs. They stay as they are.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        shared = [
            variable
            for variable in graph_inputs(outputs)
            if isinstance(variable, SharedVariable)
            # Random generators stay in the graph.
            and isinstance(variable.get_value(borrow=True), np.ndarray)
        ]
        arguments = [variable.type() for variable in shared]
        graphs = clone_replace(list(outputs), dict(zip(shared, arguments, strict=True)))
        self._shared = shared
        self._function = Interpreter([*inputs, *arguments], graphs)

    @property
    def graphs(self) -> list[Variable]:
        """The graphs that are run, in which a random generator can be seeded."""
        return self._function.graphs

    def __call__(
        self, values: Sequence[Numbers], shared_values: ContainerValues
    ) -> list[NDArray[Any]]:
        """Return the outputs for values of the inputs.

        A shared variable that is not among ``shared_values`` has its present value.
        """
        present = (
            shared_values.get(variable.container, variable.get_value(borrow=True))
            for variable in self._shared
        )
        return [np.asarray(value) for value in self._function(*values, *present)]
