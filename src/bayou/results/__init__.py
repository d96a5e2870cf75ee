"""What comes back from inference: ArviZ DataTrees and approximations."""
