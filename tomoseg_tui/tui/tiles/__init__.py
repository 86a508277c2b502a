"""The Tiles tab: slices, their tiles, and the features of the tiles."""
