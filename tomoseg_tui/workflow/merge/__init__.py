"""Merge: maps compete for every voxel, and one label volume is written."""
