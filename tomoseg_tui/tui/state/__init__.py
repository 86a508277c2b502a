"""The state of a project: read by threads, sent as messages, never changed."""
