"""Losses, and what happens after a critic step."""
