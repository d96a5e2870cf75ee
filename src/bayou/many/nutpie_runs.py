"""nutpie on one data set after another, several of them at a time on the cores of a machine."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads
from bayou.many.data_sets.pending import lengths_of
from bayou.many.results.outcome import Outcome
from bayou.nuts.chains import bind_data, explain_failure, start_chains
from bayou.nuts.compiled.compiled_density import compiled_density
from bayou.nuts.convergence.chain_diagnostics import statistic_diagnostics
from bayou.nuts.trace import STATISTICS, ChainBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import pymc as pm

    from bayou.many.data_sets.pending import Pending, PendingDataSet
    from bayou.nuts.chains import RunningChains
    from bayou.nuts.compiled.bound_density import BoundDensity
    from bayou.nuts.compiled.compiled_density import CompiledDensity
    from bayou.nuts.settings import NutsSettings
    from bayou.nuts.trace import NutpieTrace

    type StartChains = Callable[[BoundDensity, NutsSettings, int], RunningChains]


def nutpie_outcomes(
    model: pm.Model,
    pending: Iterator[Pending],
    settings: NutsSettings,
    start: StartChains = start_chains,
) -> Generator[Outcome]:
    """Yield the outcomes of data sets that nutpie samples, in their order.

    Parameters
    ----------
    model : pymc.Model
    pending : iterator of PendingDataSet or Outcome
        Outcomes are passed on.
    settings : NutsSettings
    start : callable, optional
        (bound density, settings, seed) -> chains that run.
    """
    density = compiled_density(model)
    # So many data sets that two more than needed keep the cores busy: none idles while a result is
    # read. On one core, chains of several data sets would only take turns.
    cores = usable_cores()
    most_running = 1 if cores == 1 else -(-cores // settings.chains) + 2
    runs: deque[_NutpieRun | Outcome] = deque()
    with limited_threads(cores):
        try:
            for data_set in pending:
                if isinstance(data_set, Outcome):
                    runs.append(data_set)
                else:
                    runs.append(_start_run(model, density, data_set, settings, start))
                if len(runs) == most_running:
                    yield _wait_for_first(runs)
            while runs:
                yield _wait_for_first(runs)
        finally:
            for run in runs:
                if isinstance(run, _NutpieRun):
                    run.chains.cancel()


@dataclass(frozen=True, eq=False)
class _NutpieRun:
    """A data set whose chains are running."""

    model: pm.Model
    density: CompiledDensity
    data_set: PendingDataSet
    bound: BoundDensity
    chains: RunningChains
    began: float

    def wait(self) -> Outcome:
        """Wait for the chains to end, and return the outcome."""
        try:
            trace = self.chains.wait()
        except RuntimeError as error:
            self.chains.cancel()
            arrays = self.data_set.arrays
            return self.data_set.failed(
                explain_failure(error, self.model, self.density, self.bound, arrays)
            )
        try:
            return self._outcome(trace, time.perf_counter() - self.began)
        # Whatever is wrong with one data set must not cost the results of the others.
        except Exception as error:
            return self.data_set.failed(error)

    def _outcome(self, trace: NutpieTrace, seconds: float) -> Outcome:
        layout = self.bound.draw_layout
        draws = ChainBatches.of(trace).read_draws(layout.size, STATISTICS)
        diagnostics = {
            **lengths_of(self.model, self.data_set.arrays),
            **statistic_diagnostics(draws.statistics),
            "seconds": seconds,
        }
        groups = {"posterior": layout.split(draws.flat), "sample_stats": draws.statistics}
        return self.data_set.succeeded(groups, diagnostics)


def _start_run(
    model: pm.Model,
    density: CompiledDensity,
    data_set: PendingDataSet,
    settings: NutsSettings,
    start: StartChains,
) -> _NutpieRun | Outcome:
    began = time.perf_counter()
    try:
        bound = bind_data(model, density, data_set.arrays)
        chains = start(bound, settings, data_set.seed)
    # Whatever is wrong with one data set must not cost the results of the others.
    except Exception as error:
        return data_set.failed(error)
    return _NutpieRun(model, density, data_set, bound, chains, began)


def _wait_for_first(runs: deque[_NutpieRun | Outcome]) -> Outcome:
    """Wait for the first run, and remove it; it stays, to be cancelled, if this is interrupted."""
    outcome = run if isinstance(run := runs[0], Outcome) else run.wait()
    runs.popleft()
    return outcome
