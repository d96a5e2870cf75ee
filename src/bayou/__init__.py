"""The data layer for Bayesian models: containers, sources and inference that is fed from them."""

from importlib.metadata import version as _version

from bayou.batching.batched import batched
from bayou.cluster.ray import Ray
from bayou.containers.data import Data
from bayou.containers.minibatch import Minibatch, align_minibatches
from bayou.containers.set_data import set_data
from bayou.containers.variables.generator import GeneratorAdapter, generator
from bayou.datasets import get_data
from bayou.errors import ConvergenceWarning, DivergenceError, SourceError
from bayou.feeding.batch_iterator import Batches
from bayou.fitting.fit import fit
from bayou.fitting.guides import Guide
from bayou.fitting.load import load
from bayou.fitting.result.fit_result import Fit
from bayou.many.calibrate import calibrate
from bayou.many.fit_many import fit_many
from bayou.many.results.calibration import Calibration
from bayou.many.sample_many import sample_many
from bayou.moved_modules import register as _register
from bayou.nuts.sample import sample
from bayou.prediction.predict import predict
from bayou.preparation.compress import compress
from bayou.preparation.inspect import inspect
from bayou.preparation.inspect_result import Inspection
from bayou.preparation.shuffle import shuffle
from bayou.provenance.describe import describe
from bayou.provenance.describe_result import Description
from bayou.provenance.diagram import Diagram
from bayou.provenance.verify import verify
from bayou.provenance.verify_result import Verification
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.weighted import Weighted
from bayou.sources.base.field import Field
from bayou.sources.base.source import Column, Source
from bayou.sources.open import scan, source
from bayou.sources.streams.sql import sql

__all__ = [
    "Batches",
    "Calibration",
    "Column",
    "ConvergenceWarning",
    "Data",
    "Description",
    "Diagram",
    "DivergenceError",
    "Field",
    "Fit",
    "GeneratorAdapter",
    "Guide",
    "Inspection",
    "Minibatch",
    "Ray",
    "Shard",
    "Source",
    "SourceError",
    "Stratified",
    "Verification",
    "Weighted",
    "align_minibatches",
    "batched",
    "calibrate",
    "compress",
    "describe",
    "fit",
    "fit_many",
    "generator",
    "get_data",
    "inspect",
    "load",
    "predict",
    "sample",
    "sample_many",
    "scan",
    "set_data",
    "shuffle",
    "source",
    "sql",
    "verify",
]

__version__ = _version("bayou")

_register()
