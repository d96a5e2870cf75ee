"""The result of a fit: draws from it, how good it is, and its files, plot and faces."""
