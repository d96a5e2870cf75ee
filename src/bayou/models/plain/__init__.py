"""Models with named dims, those of ``pymc.dims``, as the same models of plain tensors."""
