"""Data, Minibatch, generator: PyTensor variables that a model holds."""
