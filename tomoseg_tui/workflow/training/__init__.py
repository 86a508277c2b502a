"""Training sets and training requests."""
