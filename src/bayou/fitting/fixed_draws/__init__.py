"""Fits on all rows with a fixed set of Monte Carlo draws."""
