"""Processes that outlive the terminal, and the folders that say what became of them."""
