"""Sources of arrays and frames in memory."""
