"""What scales the density of observed variables: the number of all rows, and weights of rows."""
