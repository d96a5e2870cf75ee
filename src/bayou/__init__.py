"""The data layer for Bayesian models: containers, sources and inference that is fed from them."""

from importlib.metadata import version as _version

from bayou.cluster.ray import Ray
from bayou.containers.data import Data
from bayou.containers.generator import GeneratorAdapter, generator
from bayou.containers.minibatch import Minibatch, align_minibatches
from bayou.containers.set_data import set_data
from bayou.datasets import get_data
from bayou.feeding.batches import Batches
from bayou.feeding.inspect import Inspection, inspect
from bayou.feeding.shuffle import shuffle
from bayou.inference.batched import batched
from bayou.inference.calibrate import calibrate
from bayou.inference.describe import describe
from bayou.inference.faults import DivergenceError
from bayou.inference.fit import ConvergenceWarning, fit
from bayou.inference.fit_many import fit_many
from bayou.inference.load import load
from bayou.inference.many import sample_many
from bayou.inference.nuts import sample
from bayou.inference.predict import predict
from bayou.inference.provenance import verify
from bayou.results.calibration import Calibration
from bayou.results.description import Description
from bayou.results.diagram import Diagram
from bayou.results.fit import Fit
from bayou.results.provenance import Verification
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.weighted import Weighted
from bayou.sources.files import SourceError
from bayou.sources.open import scan, source
from bayou.sources.source import Column, Field, Source
from bayou.sources.sql import sql

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
