"""Which rows come next: one policy a file, each a pure function of (seed, step)."""
