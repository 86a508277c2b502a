"""Annotations: import, painting, and questions before a tile is marked done."""
