"""Text files of separated values: how each is written, its bytes as UTF-8, and its lines."""
