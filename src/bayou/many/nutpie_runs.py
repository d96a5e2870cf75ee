"""nutpie on one data set after another, several of them at a time on the cores of a machine."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads
from bayou.compression.compress_option import choose_compression
from bayou.compression.compressed_model import LEAST_ROWS
from bayou.compression.weighted_model import weighted_model
from bayou.containers.set_data import temporary_values
from bayou.many.data_sets.pending import lengths_of, with_checked_weights
from bayou.many.results.outcome import Outcome
from bayou.nuts.chains import bind_data, explain_failure, start_chains
from bayou.nuts.compiled.compiled_density import compiled_density
from bayou.nuts.convergence.chain_diagnostics import statistic_diagnostics
from bayou.nuts.trace import STATISTICS, ChainBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import pymc as pm

    from bayou.compression.compressed_model import CompressedModel
    from bayou.containers.variables.dims import ContainerArrays
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
    *,
    weights: str | None = None,
    compress: bool | str = False,
) -> Generator[Outcome]:
    """Yield the outcomes of data sets that nutpie samples, in their order.

    Parameters
    ----------
    model : pymc.Model
        As it is written.
    pending : iterator of PendingDataSet or Outcome
        Outcomes are passed on.
    settings : NutsSettings
    start : callable, optional
        (bound density, settings, seed) -> chains that run.
    weights : str, optional
        The container of the weights of the rows.
    compress : bool or "auto", default False
        Whether data sets are replaced by their distinct rows.
    """
    weighted = weighted_model(model, weights)
    densities = _Densities(model, weighted, compiled_density(weighted), weights, compress)
    pending = with_checked_weights(pending, model, weights)
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
                    runs.append(_start_run(densities, data_set, settings, start))
                if len(runs) == most_running:
                    yield _wait_for_first(runs)
            while runs:
                yield _wait_for_first(runs)
        finally:
            for run in runs:
                if isinstance(run, _NutpieRun):
                    run.chains.cancel()


@dataclass(frozen=True, eq=False)
class _Densities:
    """The density of a model at data sets, of all of their rows or of the distinct ones.

    Attributes
    ----------
    model : pymc.Model
        As it is written.
    weighted : pymc.Model
        The model with the weights of its rows.
    density : CompiledDensity
        That of all rows.
    weights, compress
        As for :func:`nutpie_outcomes`.
    """

    model: pm.Model
    weighted: pm.Model
    density: CompiledDensity
    weights: str | None
    compress: bool | str

    def at(self, arrays: ContainerArrays) -> _BoundModel:
        """Return the density at a data set.

        Raises
        ------
        ValueError
            If it is not finite where chains start, or ``compress=True`` and the rows cannot be
            counted.
        """
        if (compressed := self._compressed(arrays)) is None:
            return _BoundModel.of(self.weighted, self.density, arrays)
        density = compiled_density(compressed.model)
        bound = _BoundModel.of(compressed.model, density, arrays | compressed.arrays)
        return replace(bound, num_distinct=compressed.num_distinct)

    def _compressed(self, arrays: ContainerArrays) -> CompressedModel | None:
        sizes = (
            np.shape(arrays.get(variable, variable.get_value(borrow=True)))
            for variable in self.model.root.data_vars
            if isinstance(variable, SharedVariable)
        )
        if self.compress is False or (
            # A look at the model, which thousands of small data sets would each pay for.
            self.compress == "auto"
            and not any(max(size, default=0) >= LEAST_ROWS for size in sizes)
        ):
            return None
        names = [v.name for v in (*self.model.free_RVs, *self.model.deterministics)]
        with temporary_values(arrays):
            return choose_compression(self.compress, self.model, names, self.weights)


@dataclass(frozen=True, eq=False)
class _BoundModel:
    """A compiled density with data, and the model that it is of.

    Attributes
    ----------
    num_distinct : int or None
        The number of distinct rows, if they took the place of all.
    """

    model: pm.Model
    density: CompiledDensity
    bound: BoundDensity
    arrays: ContainerArrays
    num_distinct: int | None = None

    @classmethod
    def of(cls, model: pm.Model, density: CompiledDensity, arrays: ContainerArrays) -> _BoundModel:
        """Return the density of a model at data."""
        return cls(model, density, bind_data(model, density, arrays), arrays)

    def explain(self, error: RuntimeError) -> Exception:
        """Return the reason why chains failed."""
        return explain_failure(error, self.model, self.density, self.bound, self.arrays)


@dataclass(frozen=True, eq=False)
class _NutpieRun:
    """A data set whose chains are running."""

    model: pm.Model
    data_set: PendingDataSet
    sampled: _BoundModel
    chains: RunningChains
    began: float

    def wait(self) -> Outcome:
        """Wait for the chains to end, and return the outcome."""
        try:
            trace = self.chains.wait()
        except RuntimeError as error:
            self.chains.cancel()
            return self.data_set.failed(self.sampled.explain(error))
        try:
            return self._outcome(trace, time.perf_counter() - self.began)
        # Whatever is wrong with one data set must not cost the results of the others.
        except Exception as error:
            return self.data_set.failed(error)

    def _outcome(self, trace: NutpieTrace, seconds: float) -> Outcome:
        layout = self.sampled.bound.draw_layout
        draws = ChainBatches.of(trace).read_draws(layout.size, STATISTICS)
        diagnostics = {
            **lengths_of(self.model, self.data_set.arrays),
            **statistic_diagnostics(draws.statistics),
            "seconds": seconds,
        }
        if self.sampled.num_distinct is not None:
            diagnostics["num_distinct"] = float(self.sampled.num_distinct)
        groups = {"posterior": layout.split(draws.flat), "sample_stats": draws.statistics}
        return self.data_set.succeeded(groups, diagnostics)


def _start_run(
    densities: _Densities, data_set: PendingDataSet, settings: NutsSettings, start: StartChains
) -> _NutpieRun | Outcome:
    began = time.perf_counter()
    try:
        sampled = densities.at(data_set.arrays)
        chains = start(sampled.bound, settings, data_set.seed)
    # Whatever is wrong with one data set must not cost the results of the others.
    except Exception as error:
        return data_set.failed(error)
    return _NutpieRun(densities.model, data_set, sampled, chains, began)


def _wait_for_first(runs: deque[_NutpieRun | Outcome]) -> Outcome:
    """Wait for the first run, and remove it; it stays, to be cancelled, if this is interrupted."""
    outcome = run if isinstance(run := runs[0], Outcome) else run.wait()
    runs.popleft()
    return outcome
