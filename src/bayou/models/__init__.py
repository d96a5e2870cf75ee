"""PyMC models read and rewritten; every internal of PyMC and PyTensor is touched here."""
