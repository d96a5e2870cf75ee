"""PyMC models read and rewritten; the internals of PyMC and PyTensor that this takes are here.

``inputs`` finds what feeds a graph, ``rewrite`` builds a model again with other inputs, and
``total_size`` scales it. ``interpret`` evaluates graphs without a compiler, ``initial_point`` the
starting values. ``posterior_tree`` puts draws under the names, dims and coords of a model.
"""
