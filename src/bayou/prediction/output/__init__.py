"""Where predictions are written: a DataTree, a Zarr store or a Parquet file."""
