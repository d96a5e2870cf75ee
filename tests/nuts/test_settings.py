"""Settings of NUTS check themselves."""

from typing import Any

import numpy as np
import pytest

from bayou.cluster.cores import usable_cores
from bayou.nuts.settings import NutsSettings, nuts_seed


def test_numbers_become_those_of_python() -> None:
    settings = NutsSettings(np.int64(7), np.int8(0), np.uint8(3))  # type: ignore[arg-type]
    assert settings == NutsSettings(7, 0, 3)
    assert {type(vars(settings)[name]) for name in ("draws", "tune", "chains")} == {int}
    assert NutsSettings(max_treedepth=np.int64(3), cores=np.int8(1)).cores == 1  # type: ignore[arg-type]
    assert type(NutsSettings(target_accept=np.float32(0.5)).target_accept) is float  # type: ignore[arg-type]


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


WRONG_OPTIONS = [
    ("target_accept", 1.0, r"a number between 0 and 1, got 1\.0\.\nHint: 0\.8 suits"),
    ("target_accept", True, "a number between 0 and 1, got True"),
    ("target_accept", "0.9", "a number between 0 and 1, got '0.9'"),
    ("max_treedepth", 0, r"a whole number of at least 1, got 0\.\nHint: 10 suits most"),
    ("max_treedepth", 61, r"at most 60, got 61\.\nHint: 10 suits most"),
    ("adaptation", "full", r"one of \('diag', 'low_rank'\), got 'full'\.\nHint: \"diag\" suits"),
    ("cores", 0, r"a whole number of at least 1, got 0\.\nHint: leave it out"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG_OPTIONS)
def test_wrong_options(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^`{name}` must be {message}"):
        NutsSettings(**{name: value})


def test_cores_are_those_of_the_process_at_most() -> None:
    assert NutsSettings(chains=3, cores=1).num_parallel == 1
    assert NutsSettings(cores=10_000).num_cores == usable_cores()
    assert NutsSettings(chains=1).num_parallel == 1


def test_defaults_of_new_settings_are_not_recorded() -> None:
    lengths = {"draws": 5, "tune": 1000, "chains": 4}
    assert NutsSettings(5, cores=1).recorded() == lengths
    assert NutsSettings(5, target_accept=0.9).recorded() == lengths | {"target_accept": 0.9}


def test_seeds() -> None:
    assert [nuts_seed(seed) for seed in (None, 0, 2**64 - 1)] == [None, 0, 2**64 - 1]
    assert nuts_seed(np.random.default_rng(0)) == nuts_seed(np.random.default_rng(0))
    for seed in (-1, 1.5, False, "1"):
        with pytest.raises(ValueError, match=r"`random_seed` must be None, a whole number"):
            nuts_seed(seed)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"below 2\*\*64, got 18446744073709551616\.\nHint"):
        nuts_seed(2**64)
