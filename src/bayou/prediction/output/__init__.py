"""The outputs of predictions: a DataTree, a Zarr store or a Parquet file."""
