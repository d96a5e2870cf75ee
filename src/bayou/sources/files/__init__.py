"""Sources of files, one format a file."""
