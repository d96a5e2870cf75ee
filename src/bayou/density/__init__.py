"""A model as JAX functions of a flat position and of the rows that feed it."""
