"""The results of many data sets, in memory or in a Zarr folder."""
