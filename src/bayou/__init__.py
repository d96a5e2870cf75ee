"""The data layer for Bayesian models: containers, sources and inference that is fed from them."""

from importlib.metadata import version as _version

from bayou.containers.data import Data, set_data
from bayou.containers.generator import GeneratorAdapter, generator
from bayou.containers.minibatch import Minibatch, align_minibatches
from bayou.datasets import get_data
from bayou.inference.faults import DivergenceError
from bayou.inference.fit import ConvergenceWarning, fit
from bayou.inference.load import load
from bayou.inference.nuts import sample
from bayou.results.fit import Fit

__all__ = [
    "ConvergenceWarning",
    "Data",
    "DivergenceError",
    "Fit",
    "GeneratorAdapter",
    "Minibatch",
    "align_minibatches",
    "fit",
    "generator",
    "get_data",
    "load",
    "sample",
    "set_data",
]

__version__ = _version("bayou")
