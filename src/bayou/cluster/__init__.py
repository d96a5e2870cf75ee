"""Processes of a cluster, on one machine or many, that do parts of the work."""
