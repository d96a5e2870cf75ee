"""The data files that ship with bayou, and those of the PyMC examples, behind `get_data`."""

from bayou.datasets.shipped import get_data

__all__ = ["get_data"]
