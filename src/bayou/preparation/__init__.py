"""Look at the rows of a source, and shuffle them on disk."""
