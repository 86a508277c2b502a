"""Tomograms: import, preprocessing, preview, checks and renaming."""
