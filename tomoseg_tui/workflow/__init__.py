"""Recipes that need no network: import, preprocess, tiles, annotations, training sets, merge, evaluate, export."""
