"""The names of PyMC3, for code that was written for it: ``import bayou.pymc3 as pm``.

Containers, fits and samplers are those of bayou. Every other name comes from PyMC; its
distributions also take the keywords of PyMC3.
"""

from __future__ import annotations

from typing import Any

import pymc as pm

from bayou import (
    GeneratorAdapter,
    Minibatch,
    align_minibatches,
    fit,
    generator,
    get_data,
)
from bayou.pymc3 import theano
from bayou.pymc3.data_module import Data, set_data
from bayou.pymc3.distributions import BASES, Distribution
from bayou.pymc3.model import Model
from bayou.pymc3.multi_trace import MultiTrace
from bayou.pymc3.sampling import (
    fast_sample_posterior_predictive,
    sample,
    sample_posterior_predictive,
    sample_prior_predictive,
)
from bayou.pymc3.theanof import floatX, set_tt_rng, tt_rng

__all__ = [
    "Data",
    "GeneratorAdapter",
    "Minibatch",
    "Model",
    "MultiTrace",
    "align_minibatches",
    "fast_sample_posterior_predictive",
    "fit",
    "floatX",
    "generator",
    "get_data",
    "sample",
    "sample_posterior_predictive",
    "sample_prior_predictive",
    "set_data",
    "set_tt_rng",
    "theano",
    "tt_rng",
]


def __getattr__(name: str) -> Any:
    value = getattr(pm, name)
    if isinstance(value, type) and hasattr(value, "dist") and name not in BASES:
        value = globals()[name] = Distribution(value)
    return value
