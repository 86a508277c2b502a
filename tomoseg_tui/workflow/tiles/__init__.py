"""Tiles: placing and removing them, and annotations in the slices around them."""
