"""Sources of real images."""
