"""The options of a fit: each is checked by itself, before there is a model."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import optax
import pytest

import bayou as by
from bayou.fitting.fit_options import FitOptions
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField

DEFAULTS: dict[str, Any] = {
    "n": "auto",
    "method": "auto",
    "batch_size": None,
    "batch_dim": None,
    "validate": True,
    "random_seed": None,
    "num_particles": 1,
    "optimizer": None,
    "order": "epoch",
    "correction": "auto",
    "tolerance": 0.1,
    "progressbar": True,
    "callback": None,
    "checkpoint": None,
    "checkpoint_seconds": 60.0,
    "resume": False,
    "cluster": None,
}


def options(**changes: Any) -> FitOptions:
    return FitOptions(**(DEFAULTS | changes))


class Partial:
    """A guide without two of its methods."""

    def init(self) -> None: ...
    def noise(self) -> None: ...
    def transport(self) -> None: ...
    def log_density(self) -> None: ...
    def mean(self) -> None: ...
    def std(self) -> None: ...


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"n": 0}, ValueError, "`n` must be a whole number of at least 1, got 0.\nHint: it counts"),
        ({"n": True}, ValueError, "`n` must be a whole number of at least 1, got True"),
        ({"n": "all"}, ValueError, "`n` must be a whole number of at least 1, got 'all'"),
        ({"num_particles": 0}, ValueError, "`num_particles` must be .* at least 1, got 0.\nHint"),
        ({"method": "svgd"}, ValueError, r"`method` must be one of \(.*, got 'svgd'.\nHint"),
        ({"method": 3}, ValueError, '`method` must be one of .* or a guide, got 3.\nHint: "auto"'),
        ({"method": Partial()}, ValueError, r"got <.*> without whiten, color.\nHint.*by.Guide"),
        ({"order": "sorted"}, ValueError, r"`order` must be one of .*, got 'sorted'.\nHint: or"),
        ({"correction": True}, ValueError, "`correction` must be one of .*, got True.\nHint: None"),
        ({"tolerance": 0}, ValueError, "`tolerance` must be positive, got 0.\nHint: 0.1 stands"),
        ({"tolerance": np.inf}, ValueError, "`tolerance` must be positive, got inf"),
        ({"tolerance": True}, ValueError, "`tolerance` must be positive, got True"),
        ({"optimizer": optax.adam}, TypeError, "`optimizer` must be an optax tr.*\nHint: call"),
        ({"optimizer": ""}, TypeError, "`optimizer` must be an optax transformation, got ''"),
        ({"callback": 1}, TypeError, "`callback` must be callable, got 1.\nHint: pass a function"),
        (
            {"validate": "no"},
            ValueError,
            "`validate` must be True or False, got 'no'.\nHint: False",
        ),
        ({"progressbar": "yes"}, ValueError, "`progressbar` must be True or False, got 'yes'"),
        ({"resume": 1}, ValueError, "`resume` must be True or False, got 1.\nHint: True continues"),
        ({"resume": True}, ValueError, "`resume` must come with `checkpoint`, got resume=True"),
        ({"checkpoint_seconds": -1}, ValueError, "`checkpoint_seconds` must be at least 0, got -1"),
        (
            {"batch_size": 9, "method": "dadvi"},
            ValueError,
            "`batch_size` must be left out .* got 9",
        ),
        ({"batch_dim": "row"}, ValueError, "`batch_dim` must come with a `batch_size`, got 'row'"),
    ],
)
def test_each_option_is_checked(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        options(**changes)


def test_options_in_range() -> None:
    assert options().num_steps is None
    assert options(n=np.int64(7)).num_steps == 7
    options(
        n=1,
        order=by.Weighted(np.ones(3)),
        optimizer=optax.adam(0.1),
        callback=print,
        checkpoint="file",
        resume=True,
        batch_size=2,
        batch_dim="row",
        correction=None,
    )


@pytest.mark.parametrize(
    ("method", "guide"),
    [
        ("auto", MeanField()),
        ("dadvi", MeanField()),
        ("advi", MeanField()),
        ("fullrank_advi", FullRank()),
        ("lowrank_advi", LowRank()),
        (LowRank(2), LowRank(2)),
    ],
)
def test_a_method_has_a_guide(method: Any, guide: by.Guide) -> None:
    assert options(method=method).guide == guide


@pytest.mark.parametrize(
    ("changes", "has_batches", "fixed"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"n": 10}, False, False),
        ({"method": "advi"}, False, False),
        ({"method": "dadvi", "n": 10}, False, True),
        ({"method": LowRank()}, False, False),
    ],
)
def test_fixed_draws_are_for_all_rows_by_default(
    changes: dict[str, Any], has_batches: bool, fixed: bool
) -> None:
    program: Any = SimpleNamespace(feeds_all_rows=False, fed=("x",) if has_batches else ())
    assert options(**changes).use_fixed_draws(program) is fixed
    # Rows that stand for all of them are no batches.
    program.feeds_all_rows = True
    assert options(**changes).use_fixed_draws(program) is (fixed or (has_batches and not changes))
