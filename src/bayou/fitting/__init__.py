"""Variational fits: `by.fit`, `by.load` and the :class:`bayou.Fit` that both return.

A fit is a family of distributions (`guides`), the rows that it is fed (`rows`) and a method: fixed
draws of all rows, minimized by L-BFGS (`fixed_draws`), or stochastic steps in minibatches, averaged
until halving their rate changes nothing (`stochastic`). Each method takes a
:class:`bayou.fitting.rows.task.Task` and returns a
:class:`bayou.fitting.guides.approximation.Approximation`.
"""
