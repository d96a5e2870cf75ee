"""One model on many data sets, compiled once: speed, quality, growth and calibration.

    python benchmarks/many.py            # all claims, about ten minutes on 2 cores
    python benchmarks/many.py --small    # a few data sets each
    python benchmarks/many.py means      # one of: means, regression, samplers, growth, calibration

What it is compared with is pm.sample in the same process, on some of the same data sets, with
nutpie, the same numbers of draws, and without a progress bar or convergence checks.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from figures import add_json_option, note, write_figures

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr

SETTINGS = {"draws": 1000, "tune": 1000, "chains": 4, "random_seed": 1}
QUIET = {"progressbar": False, "quiet": True, "compute_convergence_checks": False}
GROUPS = 5


def mean_model(scale: float = 1.0) -> pm.Model:
    """The model of the first seed example."""
    with pm.Model() as model:
        y = by.Data("y", np.zeros(20), dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("observed", mu, scale, observed=y, dims="row")
    return model


def mean_data(number: int) -> Iterator[dict[str, Any]]:
    for seed in range(number):
        rng = np.random.default_rng(seed)
        yield {"y": rng.normal() + rng.normal(size=20)}


def regression_model() -> pm.Model:
    """A hierarchical regression with 8 parameters: level, spread, slope, noise and 4 offsets."""
    with pm.Model(coords={"group": range(GROUPS - 1)}) as model:
        group = by.Data("group_of", np.zeros(3, dtype=int), dims="row")
        x = by.Data("x", np.zeros(3), dims="row")
        y = by.Data("y", np.zeros(3), dims="row")
        level = pm.Normal("level", 0, 2)
        spread = pm.HalfNormal("spread", 1)
        offset = pm.Normal("offset", dims="group")
        slope = pm.Normal("slope", 0, 1)
        noise = pm.HalfNormal("noise", 1)
        pm.Normal(
            "observed", level + spread * offset[group] + slope * x, noise, observed=y, dims="row"
        )
    return model


def regression_data(number: int) -> Iterator[dict[str, Any]]:
    for seed in range(number):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(100, 301))
        group, x = rng.integers(GROUPS - 1, size=rows), rng.normal(size=rows)
        y = 1 + rng.normal(size=GROUPS - 1)[group] + 0.5 * x + 0.7 * rng.normal(size=rows)
        yield {"group_of": group, "x": x, "y": y}


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def of_pymc(model: pm.Model, data: list[dict[str, Any]]) -> tuple[list[float], list[xr.DataTree]]:
    """Sample some data sets one by one with pm.sample; the first, which compiles, is not kept."""
    seconds, trees = [], []
    with model:
        for values in [data[0], *data]:
            by.set_data(values)
            took, tree = timed(lambda: pm.sample(**SETTINGS, nuts_sampler="nutpie", **QUIET))
            seconds.append(took)
            trees.append(tree)
    return seconds[1:], trees[1:]


def compared(
    name: str, model: pm.Model, data: list[dict[str, Any]], others: int, least: float
) -> xr.DataTree:
    """Print how fast data sets are sampled together and one by one, and how good the draws are."""
    by.sample_many(data[:1], model=model, progressbar=False, **SETTINGS)
    took, tree = timed(lambda: by.sample_many(data, model=model, progressbar=False, **SETTINGS))
    each = took / len(data)
    theirs, trees = of_pymc(model, data[:others])
    ratio = statistics.median(theirs) / each
    print(f"{name}: {len(data)} data sets in {took:.1f} s, {1000 * each:.0f} ms each")
    print(f"  {ratio:.0f} times faster a data set than pm.sample (target: at least {least:g})")
    rhat = tree["diagnostics"]["rhat"]
    good = float((rhat < 1.01).mean())
    print(f"  R-hat below 1.01 in {good:.1%}, at most {float(rhat.max()):.4f}")
    apart = max(_apart(tree, key, other) for key, other in enumerate(trees))
    print(f"  means at most {apart:.1f} Monte Carlo standard errors apart (target: 4)")
    note(
        f"{name}, {len(data):,} data sets, 4 x (1000 + 1000) draws: all in; of `pm.sample` each; "
        "R-hat below 1.01; means apart",
        f"{took:.1f} s; {ratio:.0f} times faster; {good:.1%}; {apart:.1f} MCSE",
        f"{least:g} times; 99%; 4 MCSE",
        met=ratio >= least and good >= 0.99 and apart <= 4,
    )
    return tree


def _apart(tree: xr.DataTree, key: int, other: xr.DataTree) -> float:
    from arviz import mcse

    ours = tree["posterior"].to_dataset().sel(dataset=key, drop=True)
    theirs = other["posterior"].to_dataset()
    worst = 0.0
    for name in ours:
        errors = np.hypot(mcse(ours)[name].values, mcse(theirs)[name].values)
        means = [found[name].mean(("chain", "draw")).values for found in (ours, theirs)]
        worst = max(worst, float(np.max(np.abs(means[0] - means[1]) / errors)))
    return worst


def means(small: bool) -> None:
    number, others = (4, 2) if small else (1000, 10)
    compared("means of 20 rows", mean_model(), [*mean_data(number)], others, 50)
    print("  (targets: 1,000 in 40 s, R-hat below 1.01 in 99% and below 1.03 in all)")


def regression(small: bool) -> None:
    number, others = (3, 1) if small else (200, 10)
    data = [*regression_data(number)]
    compared("hierarchical regression", regression_model(), data, others, 10)


def spread_model() -> pm.Model:
    """The mean and the spread of some rows."""
    with pm.Model() as model:
        y = by.Data("y", np.zeros(20), dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("observed", mu, pm.HalfNormal("spread", 5), observed=y, dims="row")
    return model


def samplers(small: bool) -> None:
    """Print what each sampler takes for the same data sets, its compiling apart."""
    cases = {
        "means of 20 rows": (mean_model, mean_data, 1000),
        "means and spreads of 20 rows": (spread_model, mean_data, 200),
    }
    for name, (make, data_of, number) in cases.items():
        model, data = make(), [*data_of(2 if small else number)]
        took, trees = {}, {}
        for sampler in ("nutpie", "blackjax"):
            run = partial(
                by.sample_many, model=model, sampler=sampler, progressbar=False, **SETTINGS
            )
            first, _ = timed(lambda: run(data[:1]))  # noqa: B023
            took[sampler], trees[sampler] = timed(lambda: run(data))  # noqa: B023
            each = 1000 * took[sampler] / len(data)
            worst = float(trees[sampler]["diagnostics"]["rhat"].max())
            print(
                f"{name}: {sampler:8} {first:5.1f} s for the first, then {len(data)} in "
                f"{took[sampler]:.1f} s, {each:.0f} ms each, R-hat at most {worst:.4f}"
            )
        apart = max(
            _apart(trees["blackjax"], key, trees["nutpie"].isel(dataset=key))
            for key in range(min(10, len(data)))
        )
        ratio = took["nutpie"] / took["blackjax"]
        print(f"  blackjax {ratio:.2f} times as fast as nutpie; means {apart:.1f} MCSE apart")


def growth(small: bool) -> None:
    """Print the time a data set and the memory as data sets are more, written to disk."""
    model, base = mean_model(), None
    by.sample_many(mean_data(1), model=model, progressbar=False, **SETTINGS)
    for number in (2, 4) if small else (10, 100, 1000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "many.zarr"
            data = mean_data(number)
            quiet = {**SETTINGS, "progressbar": False}
            took, _ = timed(lambda: by.sample_many(data, model=model, out=out, **quiet))  # noqa: B023
        each = took / number
        base = base or each
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        note(
            f"{number} data sets onto disk: the time of each, of the first number; memory",
            f"{each / base:.2f}; {memory:,.0f} MiB",
            "1.2",
            met=each <= 1.2 * base,
        )
        print(
            f"growth: {number:6} data sets, {1000 * each:.0f} ms each, {each / base:.2f} of the "
            f"first (target: at most 1.2), {memory:,.0f} MiB at most"
        )


def calibration(small: bool) -> None:
    number = 20 if small else 200
    for name, simulator, expected in (("right", None, True), ("wrong", mean_model(2.0), False)):
        model = mean_model()
        took, result = timed(
            lambda: by.calibrate(model, number, simulator=simulator, progressbar=False, **SETTINGS)  # noqa: B023
        )
        note(
            f"{number} simulations of a {name} model: passes; seconds",
            f"{bool(result)}; {took:.1f} s",
            f"{expected}; 60 s",
            met=bool(result) == expected and took <= 60,
        )
        print(
            f"calibration of a {name} model: passes {bool(result)} (target: {expected}), {took:.1f}"
            " s (target: 60)"
        )


CLAIMS = {
    "means": means,
    "regression": regression,
    "samplers": samplers,
    "growth": growth,
    "calibration": calibration,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("claims", nargs="*", choices=[*CLAIMS, []], help="all by default")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="a few data sets each")
    options = parser.parse_args()
    for name in options.claims or CLAIMS:
        CLAIMS[name](options.small)
    write_figures(options.json)


if __name__ == "__main__":
    main()
