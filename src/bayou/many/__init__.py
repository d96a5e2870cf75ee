"""One model on many data sets: `by.sample_many`, `by.fit_many`, `by.calibrate`."""
