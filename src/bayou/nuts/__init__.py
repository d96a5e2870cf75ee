"""NUTS on all rows, through nutpie: `by.sample`."""
