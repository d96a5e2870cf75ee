"""Old names of modules, so that models pickled with bayou 0.1.0 still load; for one release.

A pickle names each class by its module, and the modules moved into the rooms of today. A name is
looked up here only after Python's own finders have failed, so that nothing else gets slower.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

# Folders that are gone, with what was in them.
FOLDERS = ("bayou.inference", "bayou.inference.guides", "bayou.results")
MODULES = {
    "bayou.cluster.processes": "bayou.cluster.jax_processes",
    "bayou.containers.cast": "bayou.containers.reading.exact_cast",
    "bayou.containers.columns": "bayou.containers.reading.columns",
    "bayou.containers.data_sets": "bayou.many.data_sets.by_key",
    "bayou.containers.dims": "bayou.containers.variables.dims",
    "bayou.containers.generator": "bayou.containers.variables.generator",
    "bayou.containers.impute": "bayou.containers.variables.imputation",
    "bayou.containers.labelled": "bayou.containers.reading.labelled_array",
    "bayou.containers.late_dispatch": "bayou.containers.variables.numba_loader",
    "bayou.containers.left_out": "bayou.containers.reading.dropped_rows",
    "bayou.containers.new_columns": "bayou.containers.reading.new_columns",
    "bayou.containers.new_values": "bayou.containers.reading.new_values",
    "bayou.containers.numba_dispatch": "bayou.containers.variables.numba_dispatch",
    "bayou.containers.resident": "bayou.containers.variables.resident_rows",
    "bayou.containers.rows": "bayou.containers.variables.random_rows",
    "bayou.datasets.data_file": "bayou.datasets.shipped",
    "bayou.feeding.buckets": "bayou.preparation.shuffle_buckets",
    "bayou.feeding.batches": "bayou.feeding.batch_iterator",
    "bayou.feeding.extremes": "bayou.feeding.integer_ranges",
    "bayou.feeding.inspect": "bayou.preparation.inspect_result",
    "bayou.feeding.shuffle": "bayou.preparation.shuffle",
    "bayou.feeding.window": "bayou.feeding.window_reader",
    "bayou.feeding.source_feed": "bayou.feeding.source_batches",
    "bayou.inference.approximation": "bayou.fitting.guides.approximation",
    "bayou.inference.batch_dim": "bayou.batching.row_dim",
    "bayou.inference.batched": "bayou.batching.batched",
    "bayou.inference.calibrate": "bayou.many.calibrate",
    "bayou.inference.checkpoint": "bayou.fitting.stochastic.checkpoint",
    "bayou.inference.checks": "bayou.batching.data_checks",
    "bayou.inference.choice": "bayou.many.choose_sampler",
    "bayou.inference.compiled": "bayou.nuts.compiled.compiled_density",
    "bayou.inference.context": "bayou.containers.context",
    "bayou.inference.densities": "bayou.models.pickling",
    "bayou.inference.describe": "bayou.provenance.describe",
    "bayou.inference.deterministic": "bayou.fitting.fixed_draws.optimize",
    "bayou.inference.engine": "bayou.prediction.graph.engine",
    "bayou.inference.evaluate": "bayou.density.evaluator",
    "bayou.inference.faults": "bayou.density.non_finite",
    "bayou.inference.feeds": "bayou.fitting.rows.feeds",
    "bayou.inference.fingerprint": "bayou.provenance.fingerprint",
    "bayou.inference.fit": "bayou.fitting.fit",
    "bayou.inference.fit_many": "bayou.many.fit_many",
    "bayou.inference.forward": "bayou.prediction.graph.forward_graph",
    "bayou.inference.frame": "bayou.fitting.guides.coordinates",
    "bayou.inference.gather": "bayou.many.collect",
    "bayou.inference.given": "bayou.many.data_sets.validation",
    "bayou.inference.guides.full_rank": "bayou.fitting.guides.full_rank",
    "bayou.inference.guides.low_rank": "bayou.fitting.guides.low_rank",
    "bayou.inference.guides.mean_field": "bayou.fitting.guides.mean_field",
    "bayou.inference.inputs": "bayou.provenance.named_inputs",
    "bayou.inference.lanes": "bayou.many.vectorised.padding",
    "bayou.inference.latent": "bayou.fitting.fixed_draws.row_variables",
    "bayou.inference.layout": "bayou.density.flat_position",
    "bayou.inference.linear_response": "bayou.fitting.fixed_draws.linear_response",
    "bayou.inference.load": "bayou.fitting.load",
    "bayou.inference.loop": "bayou.fitting.stochastic.steps",
    "bayou.inference.machine_code": "bayou.nuts.compiled.numba_code",
    "bayou.inference.many": "bayou.many.sample_many",
    "bayou.inference.new_rows": "bayou.prediction.new_rows",
    "bayou.inference.noise": "bayou.density.prng",
    "bayou.inference.nuts": "bayou.nuts.sample",
    "bayou.inference.objective": "bayou.fitting.stochastic.negative_elbo",
    "bayou.inference.options": "bayou.fitting.fit_options",
    "bayou.inference.outcomes": "bayou.many.dispatch",
    "bayou.inference.parallel": "bayou.fitting.stochastic.distributed",
    "bayou.inference.parameter_draws": "bayou.prediction.draws",
    "bayou.inference.predict": "bayou.prediction.predict",
    "bayou.inference.prediction_cluster": "bayou.prediction.cluster_run",
    "bayou.inference.prediction_run": "bayou.prediction.run",
    "bayou.inference.prediction_task": "bayou.prediction.plan",
    "bayou.inference.predictor": "bayou.prediction.graph.predictor",
    "bayou.inference.program": "bayou.density.program",
    "bayou.inference.provenance": "bayou.provenance.verify",
    "bayou.inference.remake": "bayou.models.rewrite",
    "bayou.inference.roots": "bayou.models.inputs",
    "bayou.inference.rowwise": "bayou.prediction.graph.row_dependence",
    "bayou.inference.samplers": "bayou.prediction.graph.jax_random",
    "bayou.inference.settle": "bayou.fitting.stochastic.full_data_polish",
    "bayou.inference.start": "bayou.models.initial_point",
    "bayou.inference.stochastic": "bayou.fitting.stochastic.schedule",
    "bayou.inference.structure": "bayou.provenance.model_fingerprint",
    "bayou.inference.validity": "bayou.batching.row_independence",
    "bayou.inference.vectorised": "bayou.many.vectorised.blackjax_nuts",
    "bayou.inference.whole": "bayou.models.rewrite",
    "bayou.results.calibration": "bayou.many.results.calibration",
    "bayou.results.description": "bayou.provenance.describe_result",
    "bayou.results.diagnostics": "bayou.fitting.result.diagnostics",
    "bayou.results.diagram": "bayou.provenance.diagram",
    "bayou.results.fit": "bayou.fitting.result.fit_result",
    "bayou.results.many": "bayou.many.results.outcome",
    "bayou.results.many_labels": "bayou.many.results.common_labels",
    "bayou.results.many_store": "bayou.many.results.zarr_folder",
    "bayou.results.named_values": "bayou.fitting.result.named_values",
    "bayou.results.plot": "bayou.fitting.result.plot",
    "bayou.results.predictions": "bayou.prediction.output.zarr_sink",
    "bayou.results.provenance": "bayou.provenance.record",
    "bayou.results.store": "bayou.storage.safetensors_file",
    "bayou.results.summaries": "bayou.prediction.output.parquet_sink",
    "bayou.results.tree": "bayou.models.posterior_tree",
    "bayou.results.unfinished": "bayou.storage.resumable_output",
    "bayou.sources.array": "bayou.sources.in_memory.array",
    "bayou.sources.arrow": "bayou.sources.files.arrow",
    "bayou.sources.arrow_values": "bayou.sources.base.arrow_values",
    "bayou.sources.chain": "bayou.sources.derived.concatenated",
    "bayou.sources.data_file": "bayou.sources.files.data_file",
    "bayou.sources.delimited": "bayou.sources.files.delimited.csv",
    "bayou.sources.durable": "bayou.storage.atomic_write",
    "bayou.sources.frame": "bayou.sources.in_memory.frame",
    "bayou.sources.generator": "bayou.sources.streams.row_generator",
    "bayou.sources.ipc": "bayou.sources.files.ipc",
    "bayou.sources.lazy": "bayou.sources.streams.lazy_frame",
    "bayou.sources.named": "bayou.sources.base.named_columns",
    "bayou.sources.npy": "bayou.sources.files.npy",
    "bayou.sources.nulls": "bayou.sources.base.nulls",
    "bayou.sources.parquet": "bayou.sources.files.parquet",
    "bayou.sources.recoded": "bayou.sources.derived.recoded",
    "bayou.sources.schema": "bayou.sources.files.schema",
    "bayou.sources.source": "bayou.sources.base.source",
    "bayou.sources.sql": "bayou.sources.streams.sql",
    "bayou.sources.store": "bayou.sources.files.store",
    "bayou.sources.texts": "bayou.sources.base.text_codes",
    "bayou.sources.wrapped": "bayou.sources.derived.adapter",
    "bayou.sources.xarray": "bayou.sources.in_memory.xarray",
    "bayou.sources.zarr": "bayou.sources.files.zarr",
}


# Classes that have another name, or went to another module than the rest: (module, name) by both.
CLASSES: dict[tuple[str, str], tuple[str, str]] = {
    ("bayou.containers.resident", "SourceVariable"): (
        "bayou.containers.variables.source_variable",
        "SourceVariable",
    ),
    ("bayou.inference.faults", "DivergenceError"): ("bayou.errors", "DivergenceError"),
    ("bayou.results.description", "ContainerSummary"): (
        "bayou.provenance.summaries",
        "ContainerSummary",
    ),
    ("bayou.results.description", "VariableSummary"): (
        "bayou.provenance.summaries",
        "VariableSummary",
    ),
    ("bayou.results.provenance", "Verification"): (
        "bayou.provenance.verify_result",
        "Verification",
    ),
    ("bayou.sources.recoded", "Codes"): ("bayou.sources.derived.unknown_categories", "Codes"),
    ("bayou.sources.recoded", "Days"): ("bayou.sources.derived.days", "Days"),
    ("bayou.sources.source", "Field"): ("bayou.sources.base.field", "Field"),
    ("bayou.sources.files", "SourceError"): ("bayou.errors", "SourceError"),
}


class MovedModules(MetaPathFinder, Loader):
    """Finds a module under its old name: an empty one that looks its classes up where they are."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old name, None for all others."""
        if fullname not in MODULES and fullname not in FOLDERS:
            return None
        return ModuleSpec(fullname, self, is_package=fullname in FOLDERS)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return None, which asks for a plain module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Have the module look up its classes."""
        # After this, Python binds the module in its package, where a function of today may have the
        # name, such as `bayou.sources.source`. The look-up that follows puts the function back.
        package, _, child = module.__name__.rpartition(".")
        members = vars(sys.modules[package])
        replaced = {child: members[child]} if child in members else {}
        module.__dict__["__getattr__"] = partial(_moved_class, module.__name__, members, replaced)


def _moved_class(
    module: str, members: dict[str, object], replaced: Mapping[str, object], name: str
) -> object:
    members.update(replaced)
    if module not in MODULES:
        raise AttributeError(name)
    module, name = CLASSES.get((module, name), (MODULES[module], name))
    return getattr(importlib.import_module(module), name)


def register() -> None:
    """Have Python find the old names."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
