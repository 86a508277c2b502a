"""Requests, checks and operations on a project that need no network; one folder per subject."""
