"""The ground of every test and doctest: compilation that is cheap, and examples that are found."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Read when PyTensor and matplotlib are imported, which the modules of the tests do later.
os.environ["PYTENSOR_FLAGS"] = "mode=FAST_COMPILE,linker=py,cxx=,traceback__limit=0"
os.environ["MPLBACKEND"] = "Agg"
# All processes of the tests share what XLA has compiled, also with the next run: a program that two
# of them build is compiled once. Programs are found by their content and by the version of JAX.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(__file__).parent / ".pytest_cache" / "jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# As do those of what Numba has compiled, and JAX for chains.
os.environ["BAYOU_CODE_CACHE"] = str(Path(__file__).parent / ".pytest_cache" / "code")

settings.register_profile("bayou", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("bayou")


@pytest.fixture(scope="session", autouse=True)
def _names_of_the_examples(doctest_namespace: dict[str, Any]) -> None:
    import numpy as np
    import pymc as pm

    import bayou as by

    doctest_namespace.update(by=by, np=np, pm=pm)
