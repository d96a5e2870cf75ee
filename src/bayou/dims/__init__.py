"""Data for models that are written with ``pymc.dims``: ``import bayou.dims``.

It stands beside ``pymc.dims`` as ``bayou.Data`` beside ``pymc``. All else, such as ``bayou.fit``,
takes models of both.
"""

from bayou.containers.named_data import Data

__all__ = ["Data"]
