"""A suite's claims, judged by its results: supported, refuted, or not enough evidence."""
