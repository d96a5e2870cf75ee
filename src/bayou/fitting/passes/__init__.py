"""A fit in a handful of passes over all rows.

The mean of a posterior needs every row, but each only a few times; its curvature needs a sample.
`pass_fit` is the course: a pilot on some thousands of rows, a covariance from a sample, passes that
move the mean to where the gradient of all rows vanishes, and a correction of the standard
deviations. `newton_passes` has the passes, `curvature` the covariance, and `large_fit` the course
of models that have too many elements for matrices of their pairs.
"""
