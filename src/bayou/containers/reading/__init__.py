"""Tables and arrays read into the values of containers."""
