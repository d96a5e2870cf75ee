"""`by.posterior`: the cheapest way to a posterior that passes its own checks, rung by rung.

`climb` is the way up: a fit, whose check may put weighted draws or short chains in the place of its
own; then NUTS in the coordinates of the fit, in each of the `modes` that searches find
(`mode_chains`), joined by their `mode_masses`; then longer chains. An `answer` is of one rung.
"""
