"""Sources that are read from front to back: generators, lazy frames, SQL."""
