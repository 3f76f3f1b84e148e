"""How good samples are: feature extractors, metrics, and the evaluator that applies them."""
