"""Recipes that need a network: train and apply. Only the worker of a job calls them."""
