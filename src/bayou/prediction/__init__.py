"""Predictions for new rows: `by.predict`."""
