"""The public names of bayou, each with the module that it is loaded from at its first use."""

from .cluster.ray import Ray as Ray
from .compression.batched_model import batched as batched
from .compression.expand import expand as expand
from .containers.data import Data as Data
from .containers.minibatch import Minibatch as Minibatch
from .containers.minibatch import align_minibatches as align_minibatches
from .containers.set_data import set_data as set_data
from .containers.variables.generator import GeneratorAdapter as GeneratorAdapter
from .containers.variables.generator import generator as generator
from .datasets import get_data as get_data
from .errors import ConvergenceWarning as ConvergenceWarning
from .errors import DivergenceError as DivergenceError
from .errors import SourceError as SourceError
from .feeding.batch_iterator import Batches as Batches
from .fitting.fit import fit as fit
from .fitting.guides import Guide as Guide
from .fitting.load import load as load
from .fitting.result.fit_result import Fit as Fit
from .fitting.result.verdict import Verdict as Verdict
from .ladder.posterior import posterior as posterior
from .many.calibrate import calibrate as calibrate
from .many.fit_many import fit_many as fit_many
from .many.results.calibration import Calibration as Calibration
from .many.sample_many import sample_many as sample_many
from .nuts.sample import sample as sample
from .prediction.predict import predict as predict
from .preparation.compress import compress as compress
from .preparation.inspect import inspect as inspect
from .preparation.inspect_result import Inspection as Inspection
from .preparation.shuffle import shuffle as shuffle
from .provenance.describe import describe as describe
from .provenance.describe_result import Description as Description
from .provenance.diagram import Diagram as Diagram
from .provenance.verify import verify as verify
from .provenance.verify_result import Verification as Verification
from .sampling.shard import Shard as Shard
from .sampling.stratified import Stratified as Stratified
from .sampling.weighted import Weighted as Weighted
from .sources.base.field import Field as Field
from .sources.base.source import Column as Column
from .sources.base.source import Source as Source
from .sources.open import scan as scan
from .sources.open import source as source
from .sources.streams.sql import sql as sql

__version__: str
