"""What screens know of a project: read by threads, told by messages, never changed."""
