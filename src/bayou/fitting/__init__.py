"""Variational fits: `by.fit`, `by.load` and the :class:`bayou.Fit` that both return."""
