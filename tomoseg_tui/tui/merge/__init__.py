"""The Merge tab: maps, thresholds, and label volumes."""
