"""Functions of BLAS and LAPACK that machine code calls by name, in each process that runs it."""

from __future__ import annotations

from functools import cache

import llvmlite.binding as llvm
from numba.core.extending import get_cython_function_address

_PREFIX = "bayou_"
_MODULES = {
    "dgemm": "scipy.linalg.cython_blas",
    "dtrsm": "scipy.linalg.cython_blas",
    "dpotrf": "scipy.linalg.cython_lapack",
}


def symbol_of(function: str) -> str:
    """Return the name that machine code calls a function of BLAS or LAPACK by."""
    return f"{_PREFIX}{function}"


@cache
def add_symbols() -> None:
    """Tell LLVM where the functions are, in this process."""
    for function, module in _MODULES.items():
        llvm.add_symbol(symbol_of(function), get_cython_function_address(module, function))
