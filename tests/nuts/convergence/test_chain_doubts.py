"""One warning has all that makes chains doubtful, the variables at fault, and what to do."""

import warnings
from typing import Any

import numpy as np
import pytest

from bayou.errors import ConvergenceWarning
from bayou.nuts.convergence.chain_doubts import warn_of_doubts

SHAPE = (4, 500)
DEFAULTS: Any = {"target_accept": 0.8, "max_treedepth": 10}


def independent(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*SHAPE, *shape))


def slow(seed: int, correlation: float = 0.99) -> np.ndarray:
    """Return chains whose draws are correlated with the next ones."""
    values = independent(seed)
    for draw in range(1, SHAPE[1]):
        values[:, draw] += correlation * values[:, draw - 1]
    return values


def statistics(**changes: Any) -> dict[str, Any]:
    return {
        "diverging": np.zeros(SHAPE, bool),
        "reached_max_treedepth": np.zeros(SHAPE, bool),
        "energy": independent(9),
    } | changes


def message_of(
    draws: Any, target_accept: float = 0.8, max_treedepth: int = 10, **changes: Any
) -> str:
    with pytest.warns(ConvergenceWarning) as warned:
        warn_of_doubts(
            statistics(**changes), draws, target_accept=target_accept, max_treedepth=max_treedepth
        )
    assert len(warned) == 1
    return str(warned[0].message)


def test_nothing_is_said_of_good_chains_or_of_few_draws() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_doubts(statistics(), {"x": independent(0), "y": independent(1, 5)}, **DEFAULTS)
        few = {
            name: values[:, :99]
            for name, values in statistics(diverging=~np.zeros(SHAPE, bool)).items()
        }
        warn_of_doubts(few, {"x": independent(0)[:, :99]}, **DEFAULTS)
        warn_of_doubts(statistics(), {"constant": np.ones((*SHAPE, 2))}, **DEFAULTS)


def test_the_variable_where_trajectories_diverge_is_named() -> None:
    scale = np.exp(independent(1))
    draws = {"mean": independent(0, 3), "scale": scale}
    message = message_of(draws, diverging=scale < 0.05)
    assert (
        f"{(scale < 0.05).sum()} of 2000 trajectories diverged, most of them where 'scale' is small"
        in message
    )
    assert "Hint: pass target_accept=0.95, or write a hierarchy" in message
    careful = message_of(draws, 0.99, diverging=scale < 0.05)
    assert "Hint: write a hierarchy" in careful


def test_variables_whose_chains_differ_are_named() -> None:
    shifted = independent(0)
    shifted[2] += 2
    message = message_of({"good": independent(1), "shifted": shifted})
    assert "R-hat is above 1.01 for 'shifted' (1." in message
    assert "'good'" not in message
    assert "the effective sample size is below 400 for 'shifted' (" in message
    assert "tune longer; if chains stay in different places" in message


def test_chains_of_other_spread_differ_too() -> None:
    wide = independent(0)
    wide[2] *= 3
    assert "R-hat is above 1.01 for 'wide'" in message_of({"wide": wide})


def test_variables_that_mix_slowly_are_named() -> None:
    message = message_of({"good": independent(1), "slow": slow(2)})
    assert "effective sample size is below 400 for 'slow' (" in message
    assert "'good'" not in message


def test_draws_that_would_do_are_named() -> None:
    # Each draw comes twice: half of 480 are effective, and 100 of each chain are wanted.
    repeated = np.repeat(np.random.default_rng(2).normal(size=(4, 60)), 2, axis=1)
    few = {name: values[:, :120] for name, values in statistics().items()}
    with pytest.warns(
        ConvergenceWarning, match=r"below 400 for 'x' \(\d+\)\.\nHint: draw more, dr"
    ) as warned:
        warn_of_doubts(few, {"x": repeated}, **DEFAULTS)
    wanted = int(str(warned[0].message).split("draws=")[1].split(".")[0])
    assert 200 <= wanted <= 400


def test_cut_trajectories_and_energies() -> None:
    cut = np.zeros(SHAPE, bool)
    cut[1, :50] = True
    message = message_of({"x": independent(0)}, max_treedepth=7, reached_max_treedepth=cut)
    assert (
        "up to 10% of the trajectories of a chain were cut at max_treedepth=7.\nHint: give"
        in message
    )
    assert "E-BFMI is 0.0" in message_of({"x": independent(0)}, energy=slow(1))


def test_what_cannot_be_checked_is_said() -> None:
    with pytest.warns(
        UserWarning, match=r"^The chains were not checked: KeyError: 'energy'\.\nHint"
    ):
        warn_of_doubts({"diverging": np.zeros(SHAPE, bool)}, {"x": independent(0)}, **DEFAULTS)
