"""The data layer for Bayesian models: containers, sources and inference that is fed from them.

The public names are listed in `__init__.pyi`; a module is loaded when a name of it is first used,
so that `import bayou` itself takes a tenth of a second (SPEC 1 of Scientific Python).
"""

from importlib.metadata import version as _version

import lazy_loader as _lazy

from bayou.moved_modules import register as _register

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

__version__ = _version("bayou")

_register()
