"""Sources that are made of other sources."""
