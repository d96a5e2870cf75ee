"""Chains whose draws go to disk: runs of nutpie one after another, each where the last one ended.

nutpie keeps the draws of a run in memory, and has no state that a chain could go on from. So chains
are run in segments of bounded size. Each begins at the last positions, in coordinates in which the
posterior has about unit scale, and tunes its step size anew, in steps that are not kept. A run that
was killed goes on in the same way.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import check_flag
from bayou.cluster.freed_memory import release_memory
from bayou.errors import ConvergenceWarning, OtherDataError, warn
from bayou.fitting.guides.coordinates import Frame
from bayou.models.posterior_tree import posterior_tree
from bayou.nuts.chains import chain_seeds, follow_chains
from bayou.nuts.convergence.chain_doubts import warn_of_doubts
from bayou.nuts.trace import ALL_STATISTICS, ChainBatches
from bayou.nuts.warm_start import WARM_TUNE
from bayou.progress import chain_progress
from bayou.provenance.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from bayou.nuts.compiled.bound_density import BoundDensity, DrawLayout
    from bayou.nuts.disk.draw_store import DrawStore
    from bayou.nuts.settings import NutsSettings
    from bayou.nuts.trace import ChainProgress, NutpieTrace

    type Array = NDArray[np.float64]

# The draws of a segment in memory: 32 MiB, within these numbers of each chain.
SEGMENT_BYTES = 2**25
LEAST_DRAWS = 1000
MOST_DRAWS = 20_000
# Statistics of a draw, about.
NUM_STATISTICS = 20
# Draws of a chain from which scales are taken, at least.
SCALE_DRAWS = 100
# The most draws of a chain that diagnostics look at.
JUDGED_DRAWS = 5000


def check_disk_options(out: object, *, resume: object, refused: Mapping[str, object]) -> None:
    """Check the options that go with draws on disk.

    Raises
    ------
    ValueError
        If `resume` comes without `out`, or an option that `out` cannot have comes with it.
    """
    check_flag("resume", resume, "resume=True goes on with the draws of `out`.")
    if out is None:
        if resume:
            raise ValueError(
                "`resume` must come with `out`, got resume=True and out=None.\n"
                "Hint: pass the folder of the draws to go on with."
            )
        return
    for name, value in refused.items():
        if value:
            raise ValueError(
                f"`{name}` must be left out with `out`, got {value!r}.\n"
                "Hint: resume=True adds draws; pymc.compute_log_likelihood takes what `out` has."
            )


def recorded_settings(
    settings: NutsSettings, tune: int | None, names: Sequence[str], seed: int
) -> dict[str, object]:
    """Return what draws in a folder depend on, which a call that goes on with them must repeat."""
    return {
        "tune": "auto" if tune is None else settings.tune,
        "chains": settings.chains,
        "target_accept": settings.target_accept,
        "max_treedepth": settings.max_treedepth,
        "adaptation": settings.adaptation,
        "variables": list(names),
        "random_seed": seed,
    }


def draw_template(
    model: pm.Model,
    layout: DrawLayout,
    names: Sequence[str],
    num_chains: int,
    attrs: Mapping[str, object],
    posterior_attrs: Mapping[str, object],
) -> xr.DataTree:
    """Return the tree of a run with one draw, whose values do not count."""
    values = layout.split(np.zeros((num_chains, 1, layout.size)))
    flags = ("diverging", "reached_max_treedepth")
    counts = ("tree_depth", "n_steps", "index_in_trajectory")
    dtypes = dict.fromkeys(flags, bool) | dict.fromkeys(counts, np.int64)
    statistics = {
        name: np.zeros((num_chains, 1), dtypes.get(name, np.float64)) for name in ALL_STATISTICS
    }
    return posterior_tree(
        model,
        {name: values[name] for name in names},
        sample_stats=statistics,
        attrs=attrs,
        posterior_attrs=posterior_attrs,
    )


def check_same_model(store: DrawStore, model: pm.Model) -> None:
    """Check that draws are of a model as it is now, with its data.

    Raises
    ------
    OtherDataError
        If they are not: says what differs.
    """
    verification = verify(store.tree(), model)
    if not verification.matches:
        raise OtherDataError(
            f"`out` must have draws of this model and its data, got others:\n{verification}\n"
            "Hint: pass the model and the data that it was begun with, or another path."
        )


@dataclass(frozen=True, eq=False)
class DiskRun:
    """A run of chains into a store.

    Attributes
    ----------
    bound : BoundDensity
        The density, where the chains of a new run start, and in their coordinates.
    settings : NutsSettings
    seed : int
    names : sequence of str
        The variables that are stored.
    store : DrawStore
    has_coordinates : bool
        Whether a fit gave the coordinates of `bound`. Else they come from the first draws.
    """

    bound: BoundDensity
    settings: NutsSettings
    seed: int
    names: Sequence[str]
    store: DrawStore
    has_coordinates: bool

    @property
    def segment_draws(self) -> int:
        """The most draws of each chain that are in memory."""
        numbers = self.bound.draw_layout.size + self.bound.size + NUM_STATISTICS
        fitting = SEGMENT_BYTES // (8 * numbers * self.settings.chains)
        return int(np.clip(fitting, LEAST_DRAWS, MOST_DRAWS))

    def draw(self, *, progressbar: bool) -> None:
        """Draw until the store has all draws; warn if Ctrl-C ended the chains before.

        Raises
        ------
        KeyboardInterrupt
            If it ended them before there was a draw.
        """
        settings, store = self.settings, self.store
        total = settings.draws * settings.chains
        with chain_progress(total, store.num_draws * settings.chains, progressbar) as show:
            while store.num_draws < settings.draws:
                if not self._draw_segment(show):
                    if not store.num_draws:
                        raise KeyboardInterrupt(
                            "The keyboard stopped the chains while they were tuned, before there "
                            "was a draw: the same call with resume=True begins them again."
                        )
                    warn(
                        f"The keyboard stopped the chains: `out` has {store.num_draws} draws of "
                        f"each chain, {settings.draws} were asked for.\n"
                        "Hint: the same call with resume=True goes on from there.",
                        ConvergenceWarning,
                    )
                    return

    def _draw_segment(self, show: Callable[[int, int, str], None]) -> bool:
        """Draw a segment into the store; return whether it came to its end."""
        begin = self.store.num_draws
        length = min(self.segment_draws, self.settings.draws - begin)
        settings, seed, bound = replace(self.settings, draws=length), self.seed, self.bound
        if begin:
            settings = replace(settings, tune=WARM_TUNE)
            seed = int(np.random.SeedSequence([self.seed, begin]).generate_state(1, np.uint64)[0])
            bound = _at_positions(bound, settings, seed, *self.store.state())

        def take(trace: NutpieTrace) -> None:
            batches = ChainBatches.of_all_chains(trace, settings.num_tuning_steps)
            taken = self.store.num_draws - begin
            if batches.num_draws > taken:
                self._store(batches, taken, bound)

        def tell(progress: list[ChainProgress]) -> None:
            done = sum(
                max(0, chain.finished_draws - settings.num_tuning_steps) for chain in progress
            )
            tuning = any(chain.tuning for chain in progress)
            divergences = sum(chain.divergences for chain in progress)
            already = begin * settings.chains
            show(already + done, divergences, "tune  " if tuning else "sample")

        came_to_end = follow_chains(bound, settings, seed, take, tell)
        # nutpie's sampler holds the draws, and is held by what it calls, in a circle.
        gc.collect()
        release_memory()
        return came_to_end

    def _store(self, batches: ChainBatches, taken: int, bound: BoundDensity) -> None:
        """Append the draws of a segment that are not in the store yet."""
        frame = bound.frame
        if self.store.num_draws == taken and not self.has_coordinates:
            frame = _scales(batches, bound)
        new = batches.after(taken)
        layout = bound.draw_layout
        draws = new.read_draws(layout.size)
        values = layout.split(draws.flat)
        groups = {
            "posterior": {name: values[name] for name in self.names},
            "sample_stats": draws.statistics,
        }
        last = new.after(new.num_draws - 1).read_coordinates(bound.size)[:, 0]
        self.store.append(groups, np.asarray(bound.frame.positions(last)), frame)


def draw_to_disk(
    run: DiskRun,
    model: pm.Model,
    attrs: Mapping[str, object],
    posterior_attrs: Mapping[str, object],
    *,
    is_checked: bool,
    progressbar: bool,
) -> xr.DataTree:
    """Draw into the store of a run, and return the tree that reads it."""
    store, settings = run.store, run.settings
    if store.is_new:
        layout, chains = run.bound.draw_layout, settings.chains
        store.begin(draw_template(model, layout, run.names, chains, attrs, posterior_attrs))
    else:
        check_same_model(store, model)
    run.draw(progressbar=progressbar)
    if is_checked:
        free = [variable.name for variable in model.free_RVs if variable.name in run.names]
        warn_of_stored_doubts(store, free, settings)
    return store.tree()


def warn_of_stored_doubts(store: DrawStore, free: Sequence[str], settings: NutsSettings) -> None:
    """Warn of draws in a store that are doubtful; of many, every so many are looked at."""
    step = -(-store.num_draws // JUDGED_DRAWS)
    if not store.num_draws:
        return
    names = ("diverging", "reached_max_treedepth", "energy")
    warn_of_doubts(
        {name: store.every("sample_stats", name, step) for name in names},
        {name: store.every("posterior", name, step) for name in free},
        target_accept=settings.target_accept,
        max_treedepth=settings.max_treedepth,
        step=step,
    )


def _at_positions(
    bound: BoundDensity, settings: NutsSettings, seed: int, positions: Array, frame: Frame
) -> BoundDensity:
    """Return a density whose chains start at positions, in coordinates."""

    def near(chain_seed: int, attempt: int) -> Array:
        # Each chain is told by its start.
        moved = np.random.default_rng(chain_seed).normal(scale=1e-6, size=bound.size)
        near_first: Array = positions[0] + np.asarray(frame.directions(moved))
        return near_first

    framed = bound.in_frame(frame)
    seeds = chain_seeds(replace(framed, candidate=near), settings, seed)
    chain_of = {chain_seed: chain for chain, chain_seed in enumerate(seeds)}

    def candidate(chain_seed: int, attempt: int) -> Array:
        start: Array = positions[chain_of[chain_seed]]
        return start

    return replace(framed, candidate=candidate)


def _scales(batches: ChainBatches, bound: BoundDensity) -> Frame:
    """Return coordinates in which the draws have mean 0 and variance 1."""
    if batches.num_draws < SCALE_DRAWS:
        return bound.frame
    positions = np.asarray(bound.frame.positions(batches.read_coordinates(bound.size)))
    stds = positions.std(axis=(0, 1))
    return Frame(positions.mean(axis=(0, 1)), np.where(stds > 0, stds, 1.0))
