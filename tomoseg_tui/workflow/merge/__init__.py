"""Merge: combine maps into one label volume."""
