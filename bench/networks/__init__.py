"""Generator and critic pairs."""
