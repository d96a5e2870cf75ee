"""A model as JAX functions of a flat position and of the rows that feed it.

``build`` turns a model into a ``program`` by ``jax_function``, once for a model and its options.
``flat_position`` says where the variables are in the position. ``evaluator`` computes densities,
gradients and products with Hessians on all rows, and ``non_finite`` names the variables at fault
where these are not finite. All that is compiled for a program is in its ``compiled_functions``.
``prng`` draws the noise of fits.
"""
