"""Bytes of foreign formats to arrays and back. Knows nothing of projects."""
