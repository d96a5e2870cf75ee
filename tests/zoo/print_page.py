"""Print the tables of the zoo into docs/models.md: `python -m tests.zoo.print_page`.

A test checks that the page is up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.zoo.distributions import JOINT, LEFT_OUT, PRIORS, REFUSED, ROWS
from tests.zoo.make_posteriors import all_models
from tests.zoo.whole_models import OUTCOMES, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
INTRODUCTION = """\
# What works: distributions and whole models

The tests hold bayou to these tables (`tests/zoo/`), which are printed by
`python -m tests.zoo.print_page`. "yes" means that it is right; what is refused has the words of the
refusal.

## Distributions

Each is the likelihood of a container with some rows. "fit": the density and the gradient of the JAX
program, at several positions and at values on the edges of the support, equal those that PyMC
writes and PyTensor's interpreter computes, within 1e-8. "batches": the rows pass the check that
`by.fit(batch_size=)` makes. "predict": predictions are distributed as those of PyMC. "prior": the
same of density and gradient where it is the prior of a free variable. by.sample compiles the same
graph by Numba; that code is compared for one distribution of each kind, and for a sixth of the
others its graph, as it is rewritten for Numba, in PyTensor's interpreter.

"""
MODELS = """
## Whole models

Small models of the kinds that PyMC's gallery has. "fit": how far, at most, the means of
`by.fit()` may lie from those of long NUTS runs (`tests/zoo/posteriors/`), in posterior standard
deviations, and how far its standard deviations, of all variables. A dash: not compared. Scales of
hierarchies, walks and processes, which a normal approximation takes for more certain than they are,
come from short chains that start at its draws; `fit.verdict` says so.

"""


def page() -> str:
    """Return the page."""
    lines = ["| distribution | fit | batches | predict | prior |", "|---|---|---|---|---|"]
    lines += [_distribution(name) for name in sorted({*ROWS, *JOINT, *PRIORS}, key=str.lower)]
    lines += ["", "Left out:", ""]
    lines += [f"- {name}: {reason}" for name, reason in LEFT_OUT.items()]
    models = ["| model | | fit | batches | predict |", "|---|---|---|---|---|"]
    models += [_model(name, outcome) for name, outcome in OUTCOMES.items()]
    return INTRODUCTION + "\n".join(lines) + "\n" + MODELS + "\n".join(models) + "\n"


def _distribution(name: str) -> str:
    kind = "rows" if name in ROWS else "joint"
    if name in ROWS or name in JOINT:
        density = _answer(REFUSED.get((kind, name, "density")))
        batches = "yes" if kind == "rows" else "refused: one distribution over all rows"
        predict = _answer(REFUSED.get((kind, name, "predict")))
        cells = [density, batches, predict] if density == "yes" else [density, "", ""]
    else:
        cells = ["", "", ""]
    prior = _answer(REFUSED.get(("prior", name, "density"))) if name in PRIORS else ""
    return f"| {' | '.join([name, *cells, prior])} |"


def _model(name: str, outcome: Outcome) -> str:
    if outcome.fit:
        fit = _answer(outcome.fit)
    elif outcome.warns:
        fit = f"warns: {outcome.warns}"
    elif outcome.means is None or outcome.sds is None:
        fit = "-"
    else:
        fit = f"{outcome.means} sd, {round(100 * outcome.sds)}%"
    summary = (all_models()[name].__doc__ or "").splitlines()[0].rstrip(".")
    predict = "" if outcome.fit else _answer(outcome.predict)
    return f"| {name} | {summary} | {fit} | {_answer(outcome.batches)} | {predict} |"


def _answer(words: str | None) -> str:
    return "yes" if words is None else "refused: " + re.sub(r"\\(.)", r"\1", words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
