"""The same model in minibatches, and the checks that a fit of it is valid.

``row_dim`` finds what has a row for each entry of a dim, ``minibatch_model`` replaces it by random
rows, and ``batched`` makes that a model for PyMC's tools or a program for a fit.
``row_independence`` compares densities of batches with those of all rows, by ``row_terms``, and
``row_mixing`` names what takes rows together. ``data_checks`` look at the data.
"""
