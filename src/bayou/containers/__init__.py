"""Data containers of a PyMC model: ``Data``, ``set_data`` and ``Minibatch``.

The files of this folder have the public functions. `variables` has the PyTensor variables and
operations that they put into a model, `reading` what turns tables and arrays into values.
"""

# Here, so that it runs before any operation is made or unpickled, wherever from.
import bayou.containers.variables.numba_loader  # noqa: F401
