"""The rows that a fit computes with: a batch for each step, all rows in blocks, or a first sample.

`feeds` gathers batches on the host and `device` on an accelerator; both end in the `StepInputs` of
a stochastic fit. `all_rows` cuts all rows into blocks, for fits on fixed draws, corrections and
diagnostics. `pilot_sample` takes the rows that a fit is started and checked on. `task` has the
arguments of every method of fitting: the model, its feeds, a start and the seeds.
"""
