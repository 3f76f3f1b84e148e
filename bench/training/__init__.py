"""Training: the engines, and the loop that drives any of them."""
