"""Files that `bench` ships, the scripts that made them, and where they come from."""
