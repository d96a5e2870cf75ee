"""Diagnostics of chains, and the warning of those that are doubtful."""
