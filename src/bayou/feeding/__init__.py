"""From rows to the inputs of a model: gathered and prefetched, a chunk of steps at a time."""
