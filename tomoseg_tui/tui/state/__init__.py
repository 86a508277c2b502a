"""The state of a project as the screen knows it: read by threads, sent as messages, never changed."""
