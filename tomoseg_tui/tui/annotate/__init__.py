"""The Annotate tab: the list of tiles, the paint editor, and masks to and from other programs."""
