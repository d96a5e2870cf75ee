"""Sources made of other sources."""
