"""Controlled experiments that are not training runs."""
