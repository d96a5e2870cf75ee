"""Code of JAX that is kept in files, beside the cache of programs that JAX has itself."""

import shutil
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.nuts.compiled.jax_code import _read_or_compile

# A number that no run before had, so that JAX compiles the function.
NEW = float(time.time_ns())
EXAMPLE = (np.arange(12.0).reshape(3, 4), np.ones(4))


def function(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return jnp.tanh(matrix @ vector) * NEW


def test_code_that_jax_read_from_its_own_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jax.config.jax_compilation_cache_dir, "the tests keep programs of JAX"
    code = tmp_path / "code"
    monkeypatch.setenv("BAYOU_CODE_CACHE", str(code))
    compiled = _read_or_compile(function, EXAMPLE)(*EXAMPLE)
    assert list(code.iterdir())
    from_file = _read_or_compile(function, EXAMPLE)(*EXAMPLE)
    np.testing.assert_array_equal(from_file, compiled)
    # What JAX read from its cache cannot be written: the next one must not read it.
    shutil.rmtree(code)
    for _ in range(2):
        np.testing.assert_array_equal(_read_or_compile(function, EXAMPLE)(*EXAMPLE), compiled)
