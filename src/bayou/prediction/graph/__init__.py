"""The model run forwards, compiled for rows of any number."""
