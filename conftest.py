"""The ground of every test and doctest: compilation that is cheap, and examples that are found."""

import os
from typing import Any

import pytest
from hypothesis import settings

# Read when PyTensor and matplotlib are imported, which the modules of the tests do later.
os.environ["PYTENSOR_FLAGS"] = "mode=FAST_COMPILE,linker=py,cxx="
os.environ["MPLBACKEND"] = "Agg"

settings.register_profile("bayou", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("bayou")


@pytest.fixture(scope="session", autouse=True)
def _names_of_the_examples(doctest_namespace: dict[str, Any]) -> None:
    import numpy as np
    import pymc as pm

    import bayou as by

    doctest_namespace.update(by=by, np=np, pm=pm)
