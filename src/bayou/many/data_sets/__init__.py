"""The data sets of a call: by key or by the groups of a table, checked, and those still to run."""
