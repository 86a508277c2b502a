"""The editor of the tab Annotate: what the hand holds, what the eye sees, what is on its way to the disk."""
