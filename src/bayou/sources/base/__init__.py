"""The contract of a source, and what all sources share: fields, nulls, and Arrow's values."""
