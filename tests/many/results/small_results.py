"""A model's axes, and outcomes of data sets with few draws, for the tests of results."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayou.many.results.outcome import Failure, Outcome, ResultAxes

CHAINS, DRAWS = 2, 3
AXES = ResultAxes(
    dims={"mean": ("row",)},
    coords={"row": ("a", "b")},
    free=("mu",),
    columns=("num_row", "rhat"),
    attrs={"inference_library": "none"},
)


def outcome(key: Any, rows: int = 2, **labels: tuple[Any, ...]) -> Outcome:
    """Return an outcome that is a function of the key and the number of rows."""
    rng = np.random.default_rng([*str(key).encode(), rows])
    posterior = {
        "mu": rng.normal(size=(CHAINS, DRAWS)),
        "mean": rng.normal(size=(CHAINS, DRAWS, rows)),
        "count": rng.integers(9, size=(CHAINS, DRAWS)),
    }
    statistics = {"lp": rng.normal(size=(CHAINS, DRAWS))}
    groups = {"posterior": posterior, "sample_stats": statistics}
    return Outcome(key, f"data of {key}", groups, {"num_row": float(rows), "rhat": 1.0}, labels)


def failed(key: Any, kind: str = "ValueError", fingerprint: str = "bad") -> Outcome:
    return Outcome(key, fingerprint, failure=Failure(kind, "no"))
