"""Tables and arrays, read into the values of containers: matched by name, cast exactly, coded."""
