"""Settings of NUTS check themselves."""

from typing import Any

import numpy as np
import pytest

from bayou.nuts.settings import NutsSettings, nuts_seed


def test_numbers_become_those_of_python() -> None:
    settings = NutsSettings(np.int64(7), np.int8(0), np.uint8(3))  # type: ignore[arg-type]
    assert settings == NutsSettings(7, 0, 3)
    assert {type(value) for value in vars(settings).values()} == {int}


def test_one_tuning_step_is_run_at_least() -> None:
    assert [NutsSettings(tune=tune).num_tuning_steps for tune in (0, 1, 5)] == [1, 1, 5]


WRONG = [
    ("draws", 0, "1, got 0"),
    ("draws", 10.0, r"1, got 10\.0"),
    ("draws", True, "1, got True"),
    ("tune", -1, "0, got -1"),
    ("chains", 0, "1, got 0"),
    ("chains", "4", "1, got '4'"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_wrong_numbers(name: str, value: Any, message: str) -> None:
    text = rf"^`{name}` must be a whole number of at least {message}\.\nHint: 1000 draws"
    with pytest.raises(ValueError, match=text):
        NutsSettings(**{name: value})


def test_seeds() -> None:
    assert [nuts_seed(seed) for seed in (None, 0, 2**64 - 1)] == [None, 0, 2**64 - 1]
    assert nuts_seed(np.random.default_rng(0)) == nuts_seed(np.random.default_rng(0))
    for seed in (-1, 1.5, False, "1"):
        with pytest.raises(ValueError, match=r"`random_seed` must be None, a whole number"):
            nuts_seed(seed)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"below 2\*\*64, got 18446744073709551616\.\nHint"):
        nuts_seed(2**64)
