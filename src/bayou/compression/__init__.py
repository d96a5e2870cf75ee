"""The same density from fewer rows: weights of rows, and distinct rows with their counts."""
