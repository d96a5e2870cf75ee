"""Fits step by step, each on a batch of rows and new draws."""
