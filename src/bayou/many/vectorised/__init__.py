"""Many data sets sampled side by side in one JAX program."""
