"""How near fits come to the posteriors of posteriordb that have reference draws, and what they say.

PATH is a folder with two things:

- the posteriors: a clone of https://github.com/stan-dev/posteriordb (its folder
  ``posterior_database``), or a file ``posteriors.json.gz`` with ``data``, ``data_of`` and
  ``reference``: by posterior and parameter its mean, sd, and 2.5%, 50% and 97.5% quantiles ``q``;
- ``models.py``, or what ``--models`` names: ``MODELS[name](data)`` is a pymc.Model whose variables
  have the names of the reference.

Nothing of it is shipped. A fit is wrong if a mean is off by more than 0.25 sd, an sd by more than
25%, or a quantile by more than 0.35 sd. The exit code is 1 where one is wrong in silence.

    python benchmarks/posteriordb.py PATH                     every posterior, three seeds
    python benchmarks/posteriordb.py PATH --seeds 1 eight     what is named, one seed
    python benchmarks/posteriordb.py PATH --posterior         by.posterior in the place of by.fit
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import re
import sys
import time
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from figures import add_json_option, note, write_figures

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm
    from numpy.typing import NDArray

DRAWS = 40_000
# Of each of four chains of `by.posterior`.
CHAIN_DRAWS = 2500
QUANTILES = (0.025, 0.5, 0.975)
LINE = "{:42} {:>4} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6} {:>6}  {}"


@dataclass(frozen=True)
class Reference:
    """A posterior: its data and, by parameter, mean, sd and the three quantiles."""

    data: Any
    moments: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Errors:
    """Errors of each parameter: means and quantiles in sds, sds as a fraction."""

    means: NDArray[np.float64]
    sds: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    @property
    def wrong(self) -> bool:
        """Whether a result with such errors misleads."""
        return bool(self.means.max() > 0.25 or self.sds.max() > 0.25 or self.quantiles.max() > 0.35)


@dataclass(frozen=True)
class Run:
    """A fit of one posterior, or the answer of `by.posterior`."""

    errors: Errors
    warned: bool
    said: str
    cold: float
    warm: float


def read_references(path: Path) -> dict[str, Callable[[], Reference]]:
    """Return a reader for each posterior that has reference draws."""
    database = path / "posterior_database"
    if database.is_dir():
        return {
            file.stem: lambda file=file: _of_clone(database, json.loads(file.read_text()))
            for file in sorted((database / "posteriors").glob("*.json"))
            if json.loads(file.read_text()).get("reference_posterior_name")
        }
    stored = json.loads(gzip.decompress((path / "posteriors.json.gz").read_bytes()))
    return {
        name: lambda name=name, moments=moments: Reference(
            stored["data"][stored["data_of"][name]],
            {key: np.array([m["mean"], m["sd"], *m["q"]]) for key, m in moments.items()},
        )
        for name, moments in stored["reference"].items()
    }


def _of_clone(database: Path, posterior: Mapping[str, str]) -> Reference:
    chains = _zipped(
        database / "reference_posteriors/draws/draws", posterior["reference_posterior_name"]
    )
    moments = {}
    for name in chains[0]:
        draws = np.concatenate([chain[name] for chain in chains])
        moments[name] = np.array([draws.mean(), draws.std(), *np.quantile(draws, QUANTILES)])
    return Reference(_zipped(database / "data/data", posterior["data_name"]), moments)


def _zipped(folder: Path, name: str) -> Any:
    with zipfile.ZipFile(folder / f"{name}.json.zip") as archive:
        return json.loads(archive.read(f"{name}.json"))


def read_models(file: Path) -> dict[str, Callable[[Any], pm.Model]]:
    """Return the models of a file of Python."""
    spec = importlib.util.spec_from_file_location("posteriordb_models", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    models: dict[str, Callable[[Any], pm.Model]] = module.MODELS
    return models


def errors_of(tree: Any, moments: Mapping[str, NDArray[np.float64]]) -> Errors:
    """Return the errors of the draws of a tree."""
    found = []
    for name in moments:
        match = re.match(r"^(.*?)(\[(.*)\])?$", name)
        assert match is not None
        values = tree.posterior[match[1]].to_numpy()
        if match[3]:
            values = values[(..., *(int(index) - 1 for index in match[3].split(",")))]
        found.append([values.mean(), values.std(), *np.quantile(values, QUANTILES)])
    truth, draws = np.array(list(moments.values())), np.array(found)
    sd = truth[:, 1:2]
    return Errors(
        np.abs(draws[:, 0] - truth[:, 0]) / sd[:, 0],
        np.abs(draws[:, 1] / sd[:, 0] - 1),
        (np.abs(draws[:, 2:] - truth[:, 2:]) / sd).max(axis=1),
    )


def fit(model: pm.Model, seed: int) -> Callable[[], tuple[Any, str]]:
    """Fit a model, and return a function that draws from the fit and has what it says."""
    fitted = by.fit(model=model, random_seed=seed, progressbar=False)

    def look() -> tuple[Any, str]:
        verdict = fitted.verdict
        said = f"{verdict.word} ({verdict.draws_from}) {verdict.reason}"
        return fitted.sample(DRAWS, random_seed=seed), said

    return look


def climb(model: pm.Model, seed: int) -> Callable[[], tuple[Any, str]]:
    """Draw by `by.posterior`, and return a function of what it returned and says."""
    tree = by.posterior(model=model, draws=CHAIN_DRAWS, random_seed=seed, progressbar=False)
    said = f"{tree.attrs['verdict']} ({tree.attrs['rung']}) {tree.attrs['reason']}"
    return lambda: (tree, said)


def run(
    infer: Callable[[pm.Model, int], Callable[[], tuple[Any, str]]],
    make: Callable[[Any], pm.Model],
    reference: Reference,
    seed: int,
) -> Run:
    """Infer a posterior, twice, and compare the draws."""
    model = make(reference.data)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            look = infer(model, seed)
        seconds.append(time.perf_counter() - began)
    warned = any(issubclass(warning.category, by.ConvergenceWarning) for warning in caught)
    tree, said = look()
    return Run(errors_of(tree, reference.moments), warned, said, *seconds)


def main() -> int:
    """Print a line for each posterior and seed, and the shares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("names", nargs="*", help="parts of names; by default all")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    add_json_option(parser)
    parser.add_argument("--posterior", action="store_true", help="by.posterior, not by.fit")
    arguments = parser.parse_args()
    infer = climb if arguments.posterior else fit
    references = read_references(arguments.path)
    models = read_models(arguments.models or arguments.path / "models.py")
    names = [
        name
        for name in models
        if name in references
        and (not arguments.names or any(part in name for part in arguments.names))
    ]
    print(LINE.format("posterior", "seed", "mean", "most", "sd", "most", "quant", "wrong", "cold",
                      "warm", "verdict"))  # fmt: skip
    runs = []
    for name in names:
        reference = references[name]()
        for seed in arguments.seeds:
            done = run(infer, models[name], reference, seed)
            runs.append(done)
            errors = done.errors
            numbers = (errors.means.mean(), errors.means.max(), errors.sds.mean(),
                       errors.sds.max(), errors.quantiles.max())  # fmt: skip
            outcome = ("wrong" if errors.wrong else "right") + ("!" if done.warned else "")
            print(
                LINE.format(name[:42], seed, *(f"{number:.3f}" for number in numbers), outcome,
                            f"{done.cold:.1f}", f"{done.warm:.1f}", done.said[:150]),
                flush=True,
            )  # fmt: skip
    code = summarize(runs, "by.posterior" if arguments.posterior else "by.fit")
    write_figures(arguments.json)
    return code


def summarize(runs: list[Run], verb: str) -> int:
    """Print the shares of all runs, and return the exit code."""
    wrong = [run.errors.wrong for run in runs]
    silent = sum(run.errors.wrong and not run.warned for run in runs)
    false = sum(run.warned and not run.errors.wrong for run in runs)
    means = np.array([run.errors.means.mean() for run in runs])
    sds = np.array([run.errors.sds.mean() for run in runs])
    near, close = ((means <= 0.05) & (sds <= most) for most in (0.03, 0.05))
    print(
        f"{len(runs)} fits, {sum(wrong)} wrong, {silent} in silence; {false} right but warned of "
        f"({false / max(1, len(runs)):.0%}); {np.mean(near):.0%} within .05 and .03 on average, "
        f"{np.mean(close):.0%} within .05 and .05; "
        f"quantiles {np.median([run.errors.quantiles.max() for run in runs]):.3f} (median of the "
        f"most), {np.median([run.errors.quantiles.mean() for run in runs]):.3f} (of the mean); "
        f"seconds {np.median([run.cold for run in runs]):.1f} and "
        f"{np.median([run.warm for run in runs]):.1f} again (medians), "
        f"{max((run.cold for run in runs), default=0):.1f} at most"
    )
    cold = np.median([run.cold for run in runs])
    note(
        f"{len(runs)} results of {verb}: wrong; in silence; right but warned of; within .05 and "
        ".03 on average; seconds, cold (median)",
        f"{sum(wrong)}; {silent}; {false}; {np.mean(near):.0%}; {cold:.1f}",
        "-; 0; -; -; -",
        met=silent == 0,
    )
    return int(silent > 0)


if __name__ == "__main__":
    sys.exit(main())
