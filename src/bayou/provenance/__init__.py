"""What a model and its data are, recorded beside a result and compared with it later."""
