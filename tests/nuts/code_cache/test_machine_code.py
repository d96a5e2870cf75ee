"""Machine code as bytes: what it computes, and code that cannot be kept."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from bayou.nuts.code_cache.machine_code import load_functions, pack_functions

NUMBERS = types.CPointer(types.float64)
SIGNATURE = types.int64(types.uint64, NUMBERS, types.CPointer(types.voidptr))


@numba.njit
def checked_root(value: Any) -> Any:
    if value < 0:
        raise ValueError("negative")
    return np.sqrt(np.ones(3) * value).sum()


@pytest.fixture(scope="module")
def code() -> bytes:
    def root(size: Any, numbers: Any, table: Any) -> int:
        try:
            for index in range(size):
                numbers[index] = checked_root(numbers[index])
        except Exception:
            return 1
        return 0

    packed = pack_functions([numba.cfunc(SIGNATURE)(root)])
    assert packed is not None
    return packed


def call(function: Any, numbers: np.ndarray) -> int:
    pointer = numbers.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    return int(function.ctypes(len(numbers), pointer, None))


def test_loaded_code_computes_and_fails_as_compiled(code: bytes) -> None:
    functions = load_functions(code)
    assert functions is not None
    numbers = np.array([4.0, 9.0])
    assert call(functions[0], numbers) == 0
    np.testing.assert_array_equal(numbers, [6, 9])
    assert call(functions[0], np.array([-1.0])) == 1


def test_code_of_missing_functions_is_not_loaded(code: bytes) -> None:
    header, _, rest = code.partition(b"\n")
    entries = json.loads(header)
    entries[0]["needed"].append("there_is_no_such_function")
    assert load_functions(json.dumps(entries).encode() + b"\n" + rest) is None


def test_code_with_addresses_of_this_process_is_not_kept() -> None:
    library = ctypes.CDLL(None)
    library.labs.argtypes, library.labs.restype = [ctypes.c_long], ctypes.c_long
    labs = library.labs

    def function(size: Any, numbers: Any, table: Any) -> int:
        return labs(-5)

    assert pack_functions([numba.cfunc(SIGNATURE)(function)]) is None


SCRIPT = """
import pymc as pm, bayou as by, numba.core.event as event
with event.install_recorder("numba:compile") as recorder, pm.Model():
    pm.Normal("y", pm.Normal("mu"), 1, observed=by.Data("data", [1.0, 2.0]))
    trace = by.sample(200, tune=200, random_seed=1, progressbar=False,
                      compute_convergence_checks=False)
print(len(recorder.buffer), trace.posterior["mu"].values.tobytes().hex())
"""


@pytest.mark.slow
def test_a_later_process_compiles_nothing_and_draws_the_same_bits(tmp_path: Path) -> None:
    environment = os.environ | {"BAYOU_CODE_CACHE": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", SCRIPT], check=True, capture_output=True, env=environment
        )
        .stdout.decode()
        .split()
        for _ in range(2)
    )
    # Numba's own helpers aside.
    assert int(first[0]) > 5 * int(second[0])
    assert first[1] == second[1]
