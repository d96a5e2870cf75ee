"""How rows get to the model: gathered and prefetched, a chunk of steps at a time."""
