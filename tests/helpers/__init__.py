"""Shared by tests: small projects, and ways to start and watch the program."""
