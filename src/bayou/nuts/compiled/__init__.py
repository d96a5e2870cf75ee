"""The log density of a model as compiled code, with data and in coordinates that chains move in."""
