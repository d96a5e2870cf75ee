"""Sources that are read in one order only: queries, relations and functions that yield rows."""
