"""The Apply tab: networks against tomograms."""
