"""The Tiles tab: slices, tiles on them, and the features that they are for."""
