"""Products of sparse matrices, as operations of PyTensor and primitives of JAX."""
