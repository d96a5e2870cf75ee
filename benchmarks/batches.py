"""Ordinary models in minibatches: what it costs that they are written once.

by_hand
    A step of a fit with ``batch_size=`` takes at most 1.05 times as long as one of the same model
    written by hand with Minibatch.
latent
    With a latent variable for each row, a step on 10^6 rows takes at most 1.5 times as long as one
    on 10^4 rows.

Contenders are processes of their own, timed in turns. A turn is the difference between a long and a
short run, so that what a run costs once cancels; a ratio is the median of the ratios within turns.

    python benchmarks/batches.py                both claims, about three minutes
    python benchmarks/batches.py --small        about a minute
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from figures import add_json_option, write_figures
from peers import ratio, ready, serve, start_worker, time_in_turns
from step_time import Target, report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from peers import Advance

BATCH = 512
COLUMNS = 20
GRAIN = 512
RATE = 0.01
ROWS = (10**4, 10**6)


def draw(rows: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return predictors, shape (rows, COLUMNS), and outcomes, shape (rows,)."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, COLUMNS))
    return x, generator.random(rows) < 1 / (1 + np.exp(-x.mean(axis=1)))


def advance(model: Any, **options: Any) -> Advance:
    """Return a function that runs a number of steps of a fit."""
    import optax

    import bayou as by

    adam = optax.adam(RATE)
    return lambda num_steps: by.fit(
        num_steps,
        method="advi",
        model=model,
        random_seed=1,
        progressbar=False,
        optimizer=adam,
        correction=None,
        **options,
    )


def ordinary(rows: int) -> Advance:
    """Write the model with all of its data, and fit it in batches."""
    import pymc as pm

    import bayou as by

    x, y = draw(rows)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0, 1, shape=COLUMNS)
        logits = by.Data("x", x, dims=("row", "column")) @ slopes
        pm.Bernoulli("y", logit_p=logits, observed=by.Data("outcome", y, dims="row"))
    return advance(model, batch_size=BATCH)


def by_hand(rows: int) -> Advance:
    """Write the model with minibatches."""
    import pymc as pm

    import bayou as by

    x, y = draw(rows)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0, 1, shape=COLUMNS)
        logits = by.Minibatch(x, BATCH) @ slopes
        pm.Bernoulli("y", logit_p=logits, observed=by.Minibatch(y, BATCH), total_size=rows)
    return advance(model)


def latent(rows: int) -> Advance:
    """Write a logistic-normal model, with an effect of each row."""
    import pymc as pm

    import bayou as by

    x, y = draw(rows)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0, 1, shape=COLUMNS)
        outcome = by.Data("outcome", y, dims="row")
        effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), dims="row")
        logits = by.Data("x", x, dims=("row", "column")) @ slopes + effect
        pm.Bernoulli("y", logit_p=logits, observed=outcome, dims="row")
    return advance(model, batch_size=BATCH)


CONTENDERS: dict[str, Callable[[], Advance]] = {
    "batch_size": partial(ordinary, ROWS[1]),
    "by hand": partial(by_hand, ROWS[1]),
    **{f"latent, {rows:,} rows": partial(latent, rows) for rows in ROWS},
}
CLAIMS = {
    "by_hand": ("batch_size", "by hand", 1.05),
    "latent": (f"latent, {ROWS[1]:,} rows", f"latent, {ROWS[0]:,} rows", 1.5),
}


def run_claim(claim: str, rounds: int, seconds: float) -> bool:
    """Time the two contenders of a claim, and tell whether it holds."""
    name, base, most = CLAIMS[claim]
    command = [__file__, "--worker"]
    started = [start_worker(each, Path(sys.executable), [*command, each]) for each in (name, base)]
    workers = ready(started, (name, base))
    times = time_in_turns(workers, dict.fromkeys(workers, GRAIN), rounds, seconds)
    target = Target(f"{name} / {base}", ratio(times, name, base), most)
    return report(f"{COLUMNS} columns, batch {BATCH}", times, [target])


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claim", nargs="?", choices=CLAIMS, help="by default both")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="few and short turns")
    parser.add_argument("--rounds", type=int, help="turns of each contender, by default 9")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    if options.worker:
        # Before PyTensor and JAX are imported.
        os.environ["JAX_ENABLE_X64"] = "1"
        serve(CONTENDERS[options.worker])
        return 0
    rounds = options.rounds or (3 if options.small else 9)
    claims = [options.claim] if options.claim else list(CLAIMS)
    met = [run_claim(claim, rounds, 0.3 if options.small else 1.5) for claim in claims]
    write_figures(options.json)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
