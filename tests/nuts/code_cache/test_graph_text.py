"""Texts of graphs: equal for what computes the same, and for nothing else."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.compile.builders import OpFromGraph

from bayou.nuts.code_cache.graph_text import NoTextError, graph_text


def line(slope: Any = 2.0, dtype: str = "float64", *, axis: int = 0, swapped: bool = False) -> str:
    x, y = pt.matrix("x", dtype=dtype), pt.vector("y")
    inputs = [y, x] if swapped else [x, y]
    return graph_text(inputs, [(x * slope).sum(axis=axis) + y, pt.exp(x)])


OTHERS = [
    line(3.0), line(np.arange(3.0)), line(np.arange(3)), line(np.arange(1.0, 4.0)), line(axis=1),
    line(dtype="float32"), line(swapped=True), graph_text([], []),
]  # fmt: skip


def test_texts_tell_graphs_apart() -> None:
    assert line() == line()
    assert len({line(), *OTHERS}) == len(OTHERS) + 1
    x = pt.vector("x")
    casts = {graph_text([x], [pt.cast(x, dtype)]) for dtype in ("int8", "int64", "float32")}
    assert len(casts) == 3


def test_the_text_is_the_same_in_another_process() -> None:
    command = (
        "import pytensor.tensor as pt; from bayou.nuts.code_cache.graph_text import graph_text\n"
        "x, y = pt.matrix('x'), pt.vector('y')\n"
        "print(graph_text([x, y], [(x * 2.0).sum(axis=0) + y, pt.exp(x)]))"
    )
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
    assert done.stdout.decode().rstrip("\n") == line()


def test_operations_of_inner_graphs_have_no_text() -> None:
    x = pt.vector("x")
    with pytest.raises(NoTextError):
        graph_text([x], [OpFromGraph([x], [x + 1])(x)])
