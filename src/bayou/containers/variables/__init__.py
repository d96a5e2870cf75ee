"""The variables and operations of PyTensor that containers are, and how they depend on PyMC."""
