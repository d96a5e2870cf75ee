"""The PyTensor variables and operations that containers are made of."""
