"""Computations on arrays, and the data classes they share. No files, no clocks, no random state of their own."""
