"""The same model in minibatches, and the checks that this is valid."""
