"""Sparse matrices in models: held by their non-zeros, and never made dense."""
