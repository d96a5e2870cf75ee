"""How far a fit is from the posterior, by importance weights, and draws that these correct.

`check` is the way of a fit through this folder: `proposals` draw, `importance` weighs,
`moment_errors` says how far the weights move each variable, `adaptive` draws again from what the
weights show, `short_chains` move draws where weights do not do, `non_centred_fit` fits hierarchies
in other variables, and `verdict` is what becomes of that in words.
"""
