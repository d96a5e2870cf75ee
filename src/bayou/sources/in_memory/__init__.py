"""Sources of arrays, data frames and datasets in memory."""
