"""Machine code that models of one structure share.

Numba never unloads code that it has compiled: some 30 MB for each model, measured with a regression
of two variables. So a graph is compiled once, for all models that are written alike; their data are
arguments of the code.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pytensor.graph.basic import Constant
from pytensor.graph.traversal import io_toposort

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from pytensor.graph.basic import Variable

# Graphs whose code is found again. Each keeps its operations and constants, about a megabyte.
MAX_GRAPHS = 64


def graph_key(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Hashable:
    """Return a value that is equal for graphs that compute the same from the same types.

    It has all operations in their order, what each is applied to, the types, and the values of
    constants.

    Parameters
    ----------
    inputs : sequence of Variable
        The arguments. The graphs depend on nothing else.
    outputs : sequence of Variable
        The graphs.
    """
    # Variables by what stands for them: the number of an input, or of an output of a node.
    references: dict[Variable, Hashable] = {variable: n for n, variable in enumerate(inputs)}

    def reference(variable: Variable) -> Hashable:
        if isinstance(variable, Constant):
            return variable.type, variable.signature()
        return references[variable]

    nodes = []
    for number, node in enumerate(io_toposort(inputs, outputs)):
        types = tuple(output.type for output in node.outputs)
        nodes.append((node.op, types, *map(reference, node.inputs)))
        references |= {output: (number, place) for place, output in enumerate(node.outputs)}
    return tuple(variable.type for variable in inputs), tuple(nodes), tuple(map(reference, outputs))


class SharedCode:
    """Cache of the code of graphs, the least used of which are forgotten.

    It may be used from several threads: one of them compiles, and the others wait.
    """

    def __init__(self, max_graphs: int = MAX_GRAPHS) -> None:
        self._max_graphs = max_graphs
        self._codes: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()

    def get_or_compile[Code](self, key: Hashable, compile_code: Callable[[], Code]) -> Code:
        """Return the code of a key, compiled by ``compile_code`` if there is none yet."""
        with self._lock:
            if key not in self._codes:
                self._codes[key] = compile_code()
            self._codes.move_to_end(key)
            while len(self._codes) > self._max_graphs:
                self._codes.popitem(last=False)
            code: Code = self._codes[key]
            return code
