"""Tiles and masks to other programs and back."""
