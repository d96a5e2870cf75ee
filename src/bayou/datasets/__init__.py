"""The data files that ship with bayou, and those of the PyMC examples, behind `get_data`."""

from bayou.datasets.data_file import get_data

__all__ = ["get_data"]
