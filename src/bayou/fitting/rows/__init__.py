"""The rows that a fit is fed: step by step, all of them in blocks, or a first sample."""
