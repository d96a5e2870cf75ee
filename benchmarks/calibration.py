"""Whether fits are calibrated, by simulation: the rank of each parameter in the draws of its fit.

Parameters are drawn from the prior, data from the likelihood, and ``by.fit`` as it is by default is
run on each data set (Talts et al. 2018). The exit code is 1 where a model does not pass.

    python benchmarks/calibration.py                  300 data sets of each model
    python benchmarks/calibration.py --small          20
    python benchmarks/calibration.py schools          what is named
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import numpy as np
import pymc as pm
from figures import add_json_option, note, write_figures

import bayou as by

ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
NUM_GROUPS, GROUP_SIZE = 12, 6


def schools() -> pm.Model:
    """Eight schools, non-centred (Rubin 1981)."""
    with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
        y = by.Data("y_data", np.zeros(8), dims="school")
        error = by.Data("error", ERRORS, dims="school")
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfNormal("tau", 10)
        unit = pm.Normal("unit", dims="school")
        pm.Normal("y", mu + tau * unit, error, observed=y, dims="school")
    return model


def logistic() -> pm.Model:
    """A logistic regression of 40 rows on two columns."""
    columns = np.random.default_rng(1).normal(size=(40, 2))
    with pm.Model(coords={"column": ["first", "second"]}) as model:
        x = by.Data("x", columns, dims=("row", "column"))
        y = by.Data("y_data", np.zeros(40, dtype=int), dims="row")
        level, slope = pm.Normal("level", 0, 1.5), pm.Normal("slope", 0, 1.5, dims="column")
        pm.Bernoulli("y", logit_p=level + x @ slope, observed=y, dims="row")
    return model


def intercepts() -> pm.Model:
    """A regression of 72 rows whose intercept varies by group, centred."""
    group = np.repeat(np.arange(NUM_GROUPS), GROUP_SIZE)
    column = np.random.default_rng(2).normal(size=len(group))
    with pm.Model(coords={"group": np.arange(NUM_GROUPS)}) as model:
        group_of = by.Data("group_of", group, dims="row")
        x = by.Data("x", column, dims="row")
        y = by.Data("y_data", np.zeros(len(group)), dims="row")
        level, slope = pm.Normal("level", 0, 2), pm.Normal("slope")
        spread, noise = pm.HalfNormal("spread", 1), pm.HalfNormal("noise", 1)
        of_group = pm.Normal("of_group", level, spread, dims="group")
        pm.Normal("y", of_group[group_of] + slope * x, noise, observed=y, dims="row")
    return model


MODELS = {"schools": schools, "logistic": logistic, "intercepts": intercepts}


def calibrate(name: str, number: int) -> bool:
    """Print whether the fits of a model pass, and return it."""
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # It counts the fits that say so themselves.
        warnings.simplefilter("ignore", by.ConvergenceWarning)
        result = by.calibrate(
            MODELS[name](), number, method="fit", random_seed=1, progressbar=False
        )
    seconds = time.perf_counter() - begin
    least = min(result.p_values.values())
    note(
        f"{name}: fits of {number} simulated data sets pass; the least p-value; seconds",
        f"{bool(result)}; {least:.3f}; {seconds:.0f} s",
        "True",
        met=bool(result),
    )
    print(f"{name}, {seconds:.0f} s: {result!r}", flush=True)
    return bool(result)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="all by default")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="20 data sets of each model")
    options = parser.parse_args()
    passed = [calibrate(name, 20 if options.small else 300) for name in options.models or MODELS]
    write_figures(options.json)
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
