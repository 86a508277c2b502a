"""Tiles: where they are placed, and what lies in the slices around them."""
