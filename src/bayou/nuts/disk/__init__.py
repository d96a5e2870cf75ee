"""Draws of long runs on disk, which grow as chains draw."""
