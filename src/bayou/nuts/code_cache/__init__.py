"""Machine code kept in files, so that a later process compiles nothing."""
