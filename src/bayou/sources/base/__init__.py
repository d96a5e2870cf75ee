"""The contract of a source, and what all sources share."""
