"""The orders of rows: one a file, each a pure function of (key, step)."""
